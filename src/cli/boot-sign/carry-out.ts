import { CodedError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import { saveChange } from '../../signing/repository/metadata-folder.ts';
import { removePending, savePending, type WhenPending } from '../../signing/repository/pending-folder.ts';
import type { MissingSignatures } from '../../signing/tuf/authority.ts';
import { describeMissing, finishProposal } from '../../signing/tuf/finish-proposal.ts';
import { authoritiesOf, missingIn, type Proposal, signProposal } from '../../signing/tuf/proposal.ts';
import { describeSignedTogether, signedTogetherSha256 } from '../../signing/tuf/signed-together.ts';
import type { KeysAtHand } from './change-repository.ts';
import { type CommandContext, type CommandResult, type OutputOptions, printResult } from './command.ts';
import type { OpenFolder } from './open-repository.ts';

/** What was asked for is settled and not in force: other people have to sign it. Not a failure. */
export class SignaturesMissing extends CodedError<'signatures-missing'> {}

export interface CarriedOut {
  readonly inForce: boolean;
  /** Where the proposal waits when it is not. */
  readonly file?: string;
  /** Of all that is signed with it: `signed-together.ts`. */
  readonly proposalSha256: string;
  readonly missing: readonly MissingSignatures[];
  /** What a signing service holds back until people approve it. */
  readonly waiting: readonly string[];
}

/**
 * Signs a proposal with the keys at hand, and puts it into force when that is enough; else it waits in the
 * folder for others. `before` runs when all has been decided and nothing is written yet.
 */
export async function carryOut(
  repository: OpenFolder,
  input: {
    proposal: Proposal;
    keys: Pick<KeysAtHand, 'signer' | 'waiting' | 'lastSigned'>;
    nowMs: number;
    whenPending?: WhenPending;
    before?: () => Promise<void>;
  },
): Promise<CarriedOut> {
  const { layout, stored, current, expiry } = repository;
  const known = authoritiesOf(input.proposal, current);
  const { signer, waiting, lastSigned } = input.keys;
  const proposal = await signProposal(input.proposal, known, signer);
  const missing = missingIn(proposal, known);
  const proposalSha256 = signedTogetherSha256(proposal.drafts);
  if (missing.length > 0) {
    await input.before?.();
    const file = await savePending(layout, proposal, input.whenPending ?? 'refuse');
    return { inForce: false, file, proposalSha256, missing, waiting };
  }
  const online = { signer, lastSigned, onlineExpiresMs: expiry.onlineMs, nowMs: input.nowMs };
  const change = await finishProposal({ current, proposal, ...online });
  await input.before?.();
  await saveChange(layout, { ...(stored && { stored }), change, nowMs: input.nowMs });
  await removePending(layout, proposal.name);
  return { inForce: true, proposalSha256, missing, waiting: [] };
}

/** Prints the result; a result that waits for signatures ends in {@link SignaturesMissing}. */
export async function printCarriedOut(
  context: CommandContext,
  options: OutputOptions,
  { result, carriedOut }: { result: CommandResult; carriedOut: CarriedOut },
): Promise<void> {
  const { inForce, file, proposalSha256, missing } = carriedOut;
  const approvals = carriedOut.waiting.map((sentence) => `  ${sentence}`);
  const json: JsonObject = { ...result.json, proposalSha256, inForce };
  if (file !== undefined) json.pending = file;
  if (!inForce) json.missing = missing.map(({ keyIds, ...rest }) => ({ ...rest, keyIds: [...keyIds] }));
  const waiting = missing.map((one) => `  ${describeMissing(one)}`);
  const described = describeSignedTogether(proposalSha256);
  const lines = inForce
    ? result.lines
    : [...result.lines, described, `not in force yet: ${file}`, ...waiting, ...approvals];
  await printResult(context, options, { lines, json });
  if (inForce) return;
  throw new SignaturesMissing(
    'signatures-missing',
    `${file} waits for signatures: "boot-sign sign" makes them, "boot-sign merge" takes them in`,
  );
}
