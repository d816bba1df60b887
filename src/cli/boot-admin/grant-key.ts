import type { Command } from 'commander';
import { call } from './operators-client.ts';
import { type Options, printDocument } from './output.ts';

export function register(grantKey: Command): void {
  grantKey.action((_options, command: Command) => showGrantKey(command.optsWithGlobals()));
}

/** Always a document: it goes into a file that `boot-sign init` reads. */
async function showGrantKey(options: Options): Promise<void> {
  await printDocument(options, await call(options, { method: 'GET', path: '/admin/v1/grant-keys' }));
}
