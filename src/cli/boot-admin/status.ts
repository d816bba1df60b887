import type { Command } from 'commander';
import { isJsonObject, type JsonValue } from '../../core/strict-json.ts';
import { lengthOf } from '../../signing/tuf/freshness.ts';
import { call } from './operators-client.ts';
import { memberOf, type Options, printSentence } from './output.ts';
import { printable } from './table.ts';

export function register(status: Command): void {
  status.action((_options, command: Command) => showStatus(command.optsWithGlobals()));
}

async function showStatus(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/readyz' });
  const warnings = memberOf(answer, 'warnings');
  const lines = Array.isArray(warnings) ? warnings.map((warning) => `warning: ${printable(warning)}`) : [];
  const sentences = [
    'ready: a node that comes now can boot',
    ...ageOf(memberOf(answer, 'metadata')),
    ...lines,
  ];
  await printSentence(options, sentences.join('\n'), answer);
}

function ageOf(metadata: JsonValue | undefined): readonly string[] {
  if (!isJsonObject(metadata)) return [];
  const { timestampVersion, ageSeconds, expiresInSeconds } = metadata;
  const age =
    typeof ageSeconds === 'number' ? `signed ${lengthOf(ageSeconds)} ago` : 'does not say when it was signed';
  return [`timestamp ${timestampVersion}: ${age}, expires in ${lengthOf(Number(expiresInSeconds))}`];
}
