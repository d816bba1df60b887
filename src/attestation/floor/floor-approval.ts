import { fromHex, toHex } from '../../core/bytes.ts';
import { CodedError } from '../../core/errors.ts';
import { floorApprovalMessage } from './floor-index.ts';
import { isSignedByFloorKey, parseFloorKey } from './floor-key.ts';

/** The floor key's signatures over one build, hex DER: what lets that stage-0 write the floor. */
export interface FloorApprovals {
  secureBoot: string;
  /** There exactly where PCR 4 can be predicted for firmware that does not verify what it starts. */
  noSecureBoot?: string;
}

/** Predicted from the image, SHA-256 bank. */
export interface ApprovedPcrs {
  pcr4SecureBoot: Uint8Array;
  pcr4NoSecureBoot?: Uint8Array;
  pcr11: Uint8Array;
}

export class FloorApprovalError extends CodedError<'floor-approval-invalid'> {
  constructor(message: string) {
    super('floor-approval-invalid', message);
  }
}

/** @param sign ECDSA P-256 with SHA-256, DER */
export async function signFloorApprovals(
  { pcr4SecureBoot, pcr4NoSecureBoot, pcr11 }: ApprovedPcrs,
  sign: (message: Uint8Array) => Promise<Uint8Array> | Uint8Array,
): Promise<FloorApprovals> {
  const approve = async (pcr4: Uint8Array) => toHex(await sign(floorApprovalMessage({ pcr4, pcr11 })));
  const secureBoot = await approve(pcr4SecureBoot);
  if (pcr4NoSecureBoot === undefined) return { secureBoot };
  return { secureBoot, noSecureBoot: await approve(pcr4NoSecureBoot) };
}

/**
 * That a listing approves what its image leaves in the PCRs, and nothing that it does not: a TPM asks no more.
 *
 * @param listing floorKey is base64
 * @throws {FloorKeyError | FloorApprovalError}
 */
export function verifyFloorApprovals(
  { floorKey, floorApprovals }: { floorKey: string; floorApprovals: FloorApprovals },
  { pcr4SecureBoot, pcr4NoSecureBoot, pcr11 }: ApprovedPcrs,
): void {
  const key = parseFloorKey(floorKey);
  const { secureBoot, noSecureBoot } = floorApprovals;
  requireApproval(key, { pcr4: pcr4SecureBoot, pcr11, approval: secureBoot, when: 'on' });
  if ((pcr4NoSecureBoot === undefined) !== (noSecureBoot === undefined))
    throw new FloorApprovalError(
      pcr4NoSecureBoot === undefined
        ? 'there is a floor approval for Secure Boot off, where PCR 4 of this image is not known'
        : 'the floor approval for Secure Boot off is missing',
    );
  if (pcr4NoSecureBoot === undefined || noSecureBoot === undefined) return;
  requireApproval(key, { pcr4: pcr4NoSecureBoot, pcr11, approval: noSecureBoot, when: 'off' });
}

function requireApproval(
  key: Uint8Array,
  { pcr4, pcr11, approval, when }: { pcr4: Uint8Array; pcr11: Uint8Array; approval: string; when: string },
): void {
  const message = floorApprovalMessage({ pcr4, pcr11 });
  if (isSignedByFloorKey(key, { message, signature: fromHex(approval) })) return;
  throw new FloorApprovalError(
    `the floor approval for Secure Boot ${when} is not the floor key's over PCR 4 ${toHex(pcr4)} and PCR 11 ${toHex(pcr11)}`,
  );
}
