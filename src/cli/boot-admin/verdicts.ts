import type { Command } from 'commander';
import { isJsonObject } from '../../core/strict-json.ts';
import type { ShowOptions } from '../eventlog-show.ts';
import { call, callText } from './operators-client.ts';
import { memberOf, type Options, print, printDocument, printRows } from './output.ts';
import { type Column, codesOf, formatDetails, formatTime, wordsOf } from './table.ts';

export function register(verdicts: Command): void {
  verdicts
    .command('list')
    .description('the latest verdicts')
    .action((_options, command: Command) => listVerdicts(command.optsWithGlobals()));
  verdicts
    .command('show')
    .argument('<verdict>', 'its number')
    .description('print a verdict: for each reason what was found, what it means and what to do')
    .action((id: string, _options, command: Command) => showVerdict(command.optsWithGlobals(), id));
  verdicts
    .command('log')
    .argument('<verdict>', 'its number')
    .option('--pcr <numbers>', 'only these PCRs, as in 4,7')
    .description('print the event log of the evidence that was kept, and what of it the quote proves')
    .action((id: string, _options, command: Command) => showVerdictLog(command.optsWithGlobals(), id));
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

const VERDICT_DETAILS: readonly Column[] = VERDICT_COLUMNS.filter(([heading]) => heading !== 'REASONS');

async function listVerdicts(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/admin/v1/verdicts' });
  await printRows(options, VERDICT_COLUMNS, memberOf(answer, 'verdicts'));
}

async function showVerdict(options: Options, id: string): Promise<void> {
  const path = `/admin/v1/verdicts/${encodeURIComponent(id)}`;
  const verdict = await call(options, { method: 'GET', path });
  if (options.output !== 'table' || !isJsonObject(verdict)) return printDocument(options, verdict);
  const { formatFindings } = await import('./findings.ts');
  print([formatDetails(VERDICT_DETAILS, verdict), ...formatFindings(verdict)].join('\n\n'));
}

async function showVerdictLog(options: Options & ShowOptions, id: string): Promise<void> {
  const evidence = await fetchEvidence(options, id);
  const { showQuotedLog } = await import('../eventlog-quoted.ts');
  await showQuotedLog(evidence, options);
}

/** The exact bytes that were stored, whatever `--output` says. */
async function exportEvidence(options: Options, id: string): Promise<void> {
  print(await fetchEvidence(options, id));
}

function fetchEvidence(options: Options, id: string): Promise<string> {
  return callText(options, { method: 'GET', path: `/admin/v1/verdicts/${encodeURIComponent(id)}/evidence` });
}
