import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { PredictedStage0Pcrs } from '../../attestation/policy/stage0-reference.ts';
import { toHex } from '../../core/bytes.ts';
import { measureUki, type UkiMeasurement } from '../../signing/efi/uki-measurement.ts';
import { type CommandContext, createFileCommand, type OutputOptions, printResult } from './command.ts';
import { predictPcrs } from './predicted-pcrs.ts';

export function createPredictCommand(context: CommandContext): Command {
  return createFileCommand(
    'predict',
    'say what booting a stage-0 image leaves in PCR 4 and 11 (SHA-256 bank), signed or not',
    'the image',
  ).action(async (file: string, options: OutputOptions) =>
    printResult(context, options, predict(await readFile(file))),
  );
}

function predict(image: Uint8Array) {
  const measured = measureUki(image);
  const pcrs = predictPcrs(image, measured);
  return { lines: linesOf(measured, pcrs), json: documentOf(measured, pcrs) };
}

function linesOf(measured: UkiMeasurement, pcrs: PredictedStage0Pcrs): string[] {
  const { pcr4SecureBoot, pcr4NoSecureBoot, pcr11 } = pcrs;
  return [
    row('PCR 4', toHex(pcr4SecureBoot), 'Secure Boot on'),
    row('PCR 4', pcr4NoSecureBoot && toHex(pcr4NoSecureBoot), 'Secure Boot off'),
    row('PCR 11', toHex(pcr11)),
    row('Authenticode', toHex(measured.authenticodeSha256)),
    ...measured.sections.map(({ name, sha256 }) => row(name, toHex(sha256))),
  ];
}

function row(name: string, value: string | undefined, note?: string): string {
  const text = value ?? 'not known: the inner kernel is no EFI image that firmware hashes in one way';
  return `${name.padEnd(14)}${text}${note === undefined ? '' : `  ${note}`}`;
}

function documentOf(measured: UkiMeasurement, pcrs: PredictedStage0Pcrs) {
  const { pcr4SecureBoot, pcr4NoSecureBoot, pcr11 } = pcrs;
  return {
    pcrs: { sha256: { 4: toHex(pcr4SecureBoot), 11: toHex(pcr11) } },
    pcr4WithoutSecureBoot: pcr4NoSecureBoot === undefined ? null : toHex(pcr4NoSecureBoot),
    authenticodeSha256: toHex(measured.authenticodeSha256),
    sections: Object.fromEntries(measured.sections.map(({ name, sha256 }) => [name, toHex(sha256)])),
  };
}
