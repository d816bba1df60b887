import { CodedError } from '../../core/errors.ts';

export type TufErrorCode =
  /** The bytes are not the metadata that they should be: JSON, types, formats, sizes. */
  | 'tuf-metadata-invalid'
  /** A file that trusted metadata names is not there. */
  | 'tuf-file-missing'
  /** Fewer good signatures by different keys than the role's threshold. */
  | 'tuf-threshold-not-met'
  /** A role's threshold or its keys do not make sense. */
  | 'tuf-role-invalid'
  | 'tuf-version-mismatch'
  | 'tuf-length-mismatch'
  | 'tuf-hash-mismatch'
  /** Older than what was seen before. */
  | 'tuf-rollback'
  /** The version that was seen before, with other bytes. */
  | 'tuf-equivocation'
  | 'tuf-expired'
  /** Signed later than the clock here says: one of the two clocks is wrong. */
  | 'tuf-signed-ahead'
  /** A role lists what it was not delegated, or is delegated something other than the protocol says. */
  | 'tuf-delegation-invalid'
  /** A target's name and its custom field do not agree, or break their schema. */
  | 'tuf-target-invalid'
  /** Not a proposal, or not the same one. */
  | 'tuf-proposal-invalid'
  /** A good proposal, and not the one that was looked at. */
  | 'tuf-proposal-unexpected'
  /** The repository has moved on since it was proposed. */
  | 'tuf-proposal-outdated'
  /** A signing service claims version numbers far beyond what is in force. */
  | 'tuf-version-ahead'
  /** A signer answered with something that is not its key's signature. */
  | 'tuf-signature-invalid'
  /** A key in a role where it may not be, or keys that those who must verify cannot. */
  | 'tuf-keys-refused';

export class TufError extends CodedError<TufErrorCode> {}
