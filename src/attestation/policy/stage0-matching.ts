import type { FloorApprovals } from '../floor/floor-approval.ts';
import type { Finding } from '../reasons.ts';

/**
 * What booting one published stage-0 image leaves in the TPM, computed from the image's own bytes
 * ({@link ./stage0-reference.ts}). All digests hex, SHA-256 bank.
 */
export interface Stage0Reference {
  sha256: string;
  build: number;
  architecture: string;
  /** Of a listed one. */
  authenticodeSha256?: string;
  /** Whether the release keys list it today; an image that was listed once is remembered. */
  listed: boolean;
  /** When a publication stopped listing it. */
  withdrawnAtSeconds?: number;
  pcr4SecureBoot: string;
  pcr4NoSecureBoot?: string;
  pcr11: string;
  /** Base64 SubjectPublicKeyInfo of one that keeps a floor, also when it is listed without by now, or withdrawn. */
  floorKey?: string;
  /** Of a listed one: what that key signed for this image. */
  floorApprovals?: FloorApprovals;
}

export interface Stage0Match {
  reference: Stage0Reference;
  secureBoot: boolean;
}

/** What lets a stage-0 that was started like this write its floor. */
export function floorApprovalOf({ reference, secureBoot }: Stage0Match): string | undefined {
  return secureBoot ? reference.floorApprovals?.secureBoot : reference.floorApprovals?.noSecureBoot;
}

export type Stage0Identification = { match: Stage0Match } | { fault: Finding };

interface Question {
  quoted: { pcr4: string; pcr11: string };
  references: readonly Stage0Reference[];
  /** The values of PCR 11 that this image may have left by now. */
  pcr11Of: (reference: Stage0Reference) => readonly string[];
  nowSeconds: number;
  /** What the log says of the event in PCR 4 that no listed stage-0 explains. */
  differingEvent?: string;
}

/**
 * Which published stage-0 the quoted PCRs say was started. PCR 4 is what firmware started and PCR 11 what
 * that image found in itself: both must be of one and the same image.
 */
export function identifyStage0(question: Question): Stage0Identification {
  const matches = question.references.flatMap((reference) => matchOf(question, reference));
  const listed = matches.find((match) => match.reference.listed);
  if (listed !== undefined) return { match: listed };
  const withdrawn = matches[0];
  if (withdrawn !== undefined) return { fault: withdrawnFault(withdrawn.reference, question.nowSeconds) };
  return { fault: notListedFault(question) };
}

function matchOf({ quoted, pcr11Of }: Question, reference: Stage0Reference): Stage0Match[] {
  if (!pcr11Of(reference).includes(quoted.pcr11)) return [];
  if (quoted.pcr4 === reference.pcr4SecureBoot) return [{ reference, secureBoot: true }];
  if (quoted.pcr4 === reference.pcr4NoSecureBoot) return [{ reference, secureBoot: false }];
  return [];
}

function withdrawnFault(
  { build, architecture, withdrawnAtSeconds }: Stage0Reference,
  nowSeconds: number,
): Finding {
  const when = withdrawnAtSeconds === undefined ? '' : ` (${agoWords(nowSeconds - withdrawnAtSeconds)})`;
  return {
    code: 'stage0-withdrawn',
    message: `PCR 4 and PCR 11: stage-0 is ${architecture} build ${build}, withdrawn${when}; boot a listed build`,
  };
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

function agoWords(seconds: number): string {
  if (seconds < 2 * MINUTE) return 'just now';
  if (seconds < 2 * HOUR) return `${Math.floor(seconds / MINUTE)} minutes ago`;
  if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)} hours ago`;
  return `${Math.floor(seconds / DAY)} days ago`;
}

function notListedFault({ quoted, references, pcr11Of, differingEvent }: Question): Finding {
  const listed = references.filter((reference) => reference.listed);
  const pcr4Known = listed.some(
    (reference) => quoted.pcr4 === reference.pcr4SecureBoot || quoted.pcr4 === reference.pcr4NoSecureBoot,
  );
  const pcr11Known = listed.some((reference) => pcr11Of(reference).includes(quoted.pcr11));
  const differing = [
    ...(pcr4Known ? [] : [`PCR 4 is ${quoted.pcr4}`]),
    ...(pcr11Known ? [] : [`PCR 11 is ${quoted.pcr11}`]),
  ];
  const builds = listed.map((reference) => `${reference.architecture} build ${reference.build}`).join(', ');
  const what = differing.length > 0 ? differing.join(', ') : 'PCR 4 and PCR 11 are of different builds';
  const event = pcr4Known || differingEvent === undefined ? '' : `; ${differingEvent}`;
  return {
    code: 'stage0-not-listed',
    message: `${what}: not what a listed stage-0 leaves there (listed: ${builds || 'none'})${event}`,
  };
}
