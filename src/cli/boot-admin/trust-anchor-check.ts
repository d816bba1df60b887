import { readFile } from 'node:fs/promises';
import { verifyLoneEkCertificate } from '../../attestation/endorsement/ek-certificate.ts';
import { assembleTrustAnchors, type BundleItem } from '../../attestation/endorsement/trust-anchor-bundle.ts';
import {
  describeTrustAnchors,
  type TrustAnchorDescription,
} from '../../attestation/endorsement/trust-anchor-description.ts';
import type { PinnedRoot } from '../../attestation/endorsement/trust-anchor-pins.ts';
import {
  addRevocationLists,
  parseTrustAnchors,
  type TrustAnchors,
} from '../../attestation/endorsement/trust-anchors.ts';
import { Refusal } from '../../attestation/reasons.ts';
import { isDer, splitPem } from '../../attestation/x509/x509-pem.ts';
import { loadPinnedRoots } from '../../boot-server/tpm-vendors.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import { type FileFault, readAnchorFiles } from './anchor-files.ts';
import { CliError } from './cli-error.ts';
import { type Options, print, printDocument } from './output.ts';
import { formatTable, printable } from './table.ts';
import { ANCHOR_COLUMNS } from './trust-anchor-columns.ts';

const TCG_HEADER_START = 0x10;
const EXIT_WELL = 0;
const EXIT_NOT_WELL = 1;

/** Offline: what lies in the files, judged among themselves and by keys/tpm-vendors.json. */
export async function check(
  options: Options & { ek?: string },
  paths: readonly string[],
  clock: Clock = systemClock,
): Promise<number> {
  const { items, faults } = await readAnchorFiles(paths);
  const pins = await loadPinnedRoots();
  const { anchors, misfits } = assembleWhatFits(items, pins);
  const nowMs = clock.nowMs();
  const described = describeTrustAnchors(anchors, pins, nowMs);
  const allFaults = [...faults, ...misfits];
  const ek = options.ek === undefined ? undefined : await judgeEk(options.ek, { anchors, nowMs });
  const report = { trustAnchors: described.map(toJson), faults: allFaults, ...(ek && { ek }) };
  if (options.output === 'table') printReport(report, described);
  else await printDocument(options, report);
  const isWell =
    described.length > 0 && allFaults.length === 0 && described.every(({ status }) => status === 'known');
  return isWell && ek?.certified !== false ? EXIT_WELL : EXIT_NOT_WELL;
}

interface Report {
  trustAnchors: JsonObject[];
  faults: FileFault[];
  ek?: JsonObject;
}

function printReport(
  { trustAnchors, faults, ek }: Report,
  described: readonly TrustAnchorDescription[],
): void {
  if (trustAnchors.length > 0) print(formatTable(ANCHOR_COLUMNS, trustAnchors));
  for (const { file, fault } of faults) print(`${printable(file)}: ${printable(fault)}`);
  for (const role of ['root', 'intermediate', 'crl'] as const) print(summaryOf(role, described));
  print(`not usable: ${faults.length}`);
  if (ek !== undefined)
    for (const [name, value] of Object.entries(ek)) print(`EK ${name}: ${printable(value)}`);
}

function summaryOf(
  role: TrustAnchorDescription['role'],
  described: readonly TrustAnchorDescription[],
): string {
  const ofRole = described.filter((one) => one.role === role);
  const counts = [...Map.groupBy(ofRole, ({ status }) => status)].map(
    ([status, all]) => `${all.length} ${status}`,
  );
  return `${role}: ${ofRole.length}${counts.length > 0 ? `, ${counts.join(', ')}` : ''}`;
}

/** What the server would refuse as a whole is named here one by one. */
function assembleWhatFits(
  items: readonly BundleItem[],
  pins: readonly PinnedRoot[],
): { anchors: TrustAnchors; misfits: FileFault[] } {
  const misfits: FileFault[] = [];
  const fitting = <Value>({ file = '' }: BundleItem, read: () => Value): Value | undefined => {
    try {
      return read();
    } catch (cause) {
      misfits.push({ file, fault: messageOf(cause) });
      return undefined;
    }
  };
  const cas = items
    .filter(({ kind }) => kind === 'certificate')
    .filter((item) => fitting(item, () => parseTrustAnchors(item.der)) !== undefined);
  const anchors = items
    .filter(({ kind }) => kind === 'crl')
    .reduce(
      (sum, item) => fitting(item, () => addRevocationLists(sum, item.der)) ?? sum,
      assembleTrustAnchors(cas, pins),
    );
  return { anchors, misfits };
}

async function judgeEk(
  file: string,
  on: { anchors: TrustAnchors; nowMs: number },
): Promise<JsonObject & { certified: boolean }> {
  const bytes = await readFile(file).catch((cause) => {
    throw new CliError(`cannot read ${file}: ${messageOf(cause)}`, { cause });
  });
  try {
    const verified = verifyLoneEkCertificate({ certificate: derOf(bytes), ...on });
    return {
      certified: true,
      fingerprint: verified.fingerprint,
      path: verified.chainSubjects,
      notes: verified.notes.map(({ code, message }) => `${code}: ${message}`),
    };
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    return { certified: false, reason: `${cause.code}: ${cause.message}` };
  }
}

/** PEM, or what an NV index held: DER with or without a header of the TCG. */
function derOf(bytes: Uint8Array): Uint8Array {
  if (isDer(bytes) || bytes[0] === TCG_HEADER_START) return bytes;
  const [der, ...more] = splitPem(bytes, 'CERTIFICATE');
  if (der === undefined || more.length > 0) throw new CliError('--ek takes one certificate');
  return der;
}

function toJson({ endsAtMs, vendor, notes, ...entry }: TrustAnchorDescription): JsonObject {
  return {
    ...entry,
    notes: [...notes],
    vendor: vendor ?? null,
    endsAt: endsAtMs === undefined ? null : Math.floor(endsAtMs / 1000),
  };
}
