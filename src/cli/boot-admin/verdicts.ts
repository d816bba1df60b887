import type { Command } from 'commander';
import { isJsonObject, type JsonValue } from '../../core/strict-json.ts';
import { call, callText } from './operators-client.ts';
import { memberOf, type Options, print, printRows } from './output.ts';
import { type Column, formatTime, wordsOf } from './table.ts';

export function register(verdicts: Command): void {
  verdicts
    .command('list')
    .description('the latest verdicts')
    .action((_options, command: Command) => listVerdicts(command.optsWithGlobals()));
  verdicts
    .command('export')
    .argument('<verdict>', 'its number')
    .description('print the evidence file of a verdict')
    .action((id: string, _options, command: Command) => exportEvidence(command.optsWithGlobals(), id));
}

export const VERDICT_COLUMNS: readonly Column[] = [
  ['VERDICT', (verdict) => verdict.id],
  ['TIME (UTC)', (verdict) => formatTime(verdict.at)],
  ['NODE', (verdict) => verdict.nodeId],
  ['PURPOSE', (verdict) => verdict.purpose],
  ['DECISION', (verdict) => verdict.verdict],
  ['FACTS', (verdict) => wordsOf(verdict.facts) || undefined],
  ['REASONS', (verdict) => codesOf(verdict.reasons) || 'none'],
];

async function listVerdicts(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/admin/v1/verdicts' });
  await printRows(options, VERDICT_COLUMNS, memberOf(answer, 'verdicts'));
}

/** The exact bytes that were stored, whatever `--output` says. */
async function exportEvidence(options: Options, id: string): Promise<void> {
  const path = `/admin/v1/verdicts/${encodeURIComponent(id)}/evidence`;
  print(await callText(options, { method: 'GET', path }));
}

function codesOf(findings: JsonValue | undefined): string {
  return Array.isArray(findings)
    ? findings.map((finding) => (isJsonObject(finding) ? String(finding.code) : '')).join(' ')
    : '';
}
