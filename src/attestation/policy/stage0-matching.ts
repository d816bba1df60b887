import type { Finding } from '../reasons.ts';

/**
 * What booting one published stage-0 image leaves in the TPM, computed from the image's own bytes
 * ({@link ./stage0-reference.ts}). All digests hex, SHA-256 bank.
 */
export interface Stage0Reference {
  sha256: string;
  build: number;
  architecture: string;
  /** Whether the release keys list it today; an image that was listed once is remembered. */
  listed: boolean;
  pcr4SecureBoot: string;
  pcr4NoSecureBoot?: string;
  pcr11: string;
}

export interface Stage0Match {
  reference: Stage0Reference;
  secureBoot: boolean;
}

export type Stage0Identification = { match: Stage0Match } | { fault: Finding };

/**
 * Which published stage-0 the quoted PCRs say was started. PCR 4 is what firmware started and PCR 11 what
 * that image found in itself: both must be of one and the same image.
 */
export function identifyStage0(
  quoted: { pcr4: string; pcr11: string },
  references: readonly Stage0Reference[],
): Stage0Identification {
  const matches = references.flatMap((reference) => matchOf(quoted, reference));
  const listed = matches.find((match) => match.reference.listed);
  if (listed !== undefined) return { match: listed };
  const withdrawn = matches[0];
  if (withdrawn !== undefined) return { fault: withdrawnFault(withdrawn.reference) };
  return { fault: notListedFault(quoted, references) };
}

function matchOf(quoted: { pcr4: string; pcr11: string }, reference: Stage0Reference): Stage0Match[] {
  if (quoted.pcr11 !== reference.pcr11) return [];
  if (quoted.pcr4 === reference.pcr4SecureBoot) return [{ reference, secureBoot: true }];
  if (quoted.pcr4 === reference.pcr4NoSecureBoot) return [{ reference, secureBoot: false }];
  return [];
}

function withdrawnFault({ build, architecture }: Stage0Reference): Finding {
  return {
    code: 'stage0-withdrawn',
    message: `PCR 4 and PCR 11: stage-0 is ${architecture} build ${build}, which is no longer listed; boot a listed build`,
  };
}

function notListedFault(
  quoted: { pcr4: string; pcr11: string },
  references: readonly Stage0Reference[],
): Finding {
  const listed = references.filter((reference) => reference.listed);
  const pcr4Known = listed.some(
    (reference) => quoted.pcr4 === reference.pcr4SecureBoot || quoted.pcr4 === reference.pcr4NoSecureBoot,
  );
  const pcr11Known = listed.some((reference) => quoted.pcr11 === reference.pcr11);
  const differing = [
    ...(pcr4Known ? [] : [`PCR 4 is ${quoted.pcr4}`]),
    ...(pcr11Known ? [] : [`PCR 11 is ${quoted.pcr11}`]),
  ];
  const builds = listed.map((reference) => `${reference.architecture} build ${reference.build}`).join(', ');
  const what = differing.length > 0 ? differing.join(', ') : 'PCR 4 and PCR 11 are of different builds';
  return {
    code: 'stage0-not-listed',
    message: `${what}: not what a listed stage-0 leaves there (listed: ${builds || 'none'})`,
  };
}
