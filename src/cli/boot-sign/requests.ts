import { Command } from 'commander';
import type { JsonObject } from '../../core/strict-json.ts';
import { type CommandContext, printResult, showBeforeSigning } from './command.ts';
import { KEY_HELP, withKeyAccess, withKeyOpener } from './key-access.ts';
import { type ContentOptions, describeRequest } from './request-content.ts';
import { createServiceCommand, type ServiceCommandOptions, toRequestId } from './service-command.ts';
import { addressOf } from './service-options.ts';
import {
  approveRequest,
  getRequest,
  listRequests,
  type ShownRequest,
  withdrawRequest,
} from './signing-service-client.ts';

type KeyOptions = ServiceCommandOptions & { readonly key?: string };
type ShowOptions = ServiceCommandOptions & ContentOptions;
type ApproveOptions = KeyOptions & ContentOptions;
type All = { readonly all?: true };

/** What waits in a signing service: see it, approve it, take it back. */
export function createRequestsCommand(context: CommandContext): Command {
  const byId = (name: string, description: string): Command =>
    withKeyAccess(createServiceCommand(name, description)).argument('<ID>', 'the request', toRequestId);
  const withRepository = (command: Command): Command =>
    command.option('--repository <DIR>', 'a repository folder that you have: shows what would change in it');
  return new Command('requests')
    .description('what waits in the signing service for the approval of people')
    .addCommand(
      createServiceCommand('list', 'requests that are open, or all')
        .option('--all', 'also those that were signed, withdrawn or have expired')
        .action((options: ServiceCommandOptions & All) => list(context, options)),
    )
    .addCommand(
      withRepository(byId('show', 'what exactly would be signed')).action(
        (id: string, options: ShowOptions) => show(context, id, options),
      ),
    )
    .addCommand(
      withRepository(byId('approve', 'sign the digest of a request with your own key'))
        .requiredOption('--key <KEY>', `your private key: ${KEY_HELP}`)
        .action((id: string, options: ApproveOptions) => approve(context, id, options)),
    )
    .addCommand(
      byId('withdraw', 'close a request that you made, or as an approver')
        .option('--key <KEY>', "an approver's private key; who asked needs none")
        .action((id: string, options: KeyOptions) => withdraw(context, id, options)),
    );
}

async function list(context: CommandContext, options: ServiceCommandOptions & All): Promise<void> {
  const every = await listRequests(await addressOf(options));
  const requests = options.all
    ? every
    : every.filter(({ state }) => state === 'open' || state === 'approved');
  await printResult(context, options, {
    lines: requests.length === 0 ? ['nothing waits'] : requests.map(describe),
    json: { requests: requests.map(jsonOf) },
  });
}

async function show(context: CommandContext, id: string, options: ShowOptions): Promise<void> {
  const { request, signed } = await getRequest(await addressOf(options), id);
  const changes = await describeRequest(request, signed, options);
  await printResult(context, options, {
    lines: [describe(request), ...changes.map((line) => `  ${line}`)],
    json: { request: jsonOf(request), changes: [...changes], signed },
  });
}

async function approve(context: CommandContext, id: string, options: ApproveOptions): Promise<void> {
  const address = await addressOf(options);
  const { request, signed } = await getRequest(address, id);
  const changes = await describeRequest(request, signed, options);
  showBeforeSigning(context, options, changes);
  const approved = await withKeyOpener(options, async ({ open }) =>
    approveRequest(address, request, await open(options.key ?? '')),
  );
  await printResult(context, options, {
    lines: [describe(approved)],
    json: { request: jsonOf(approved), changes: [...changes] },
  });
}

async function withdraw(context: CommandContext, id: string, options: KeyOptions): Promise<void> {
  const address = await addressOf(options);
  const { request } = await getRequest(address, id);
  const { key } = options;
  const withdrawn = await withKeyOpener(options, async ({ open }) =>
    withdrawRequest(address, request, key === undefined ? undefined : await open(key)),
  );
  await printResult(context, options, { lines: [describe(withdrawn)], json: { request: jsonOf(withdrawn) } });
}

function describe({ id, role, version, state, people, missing, expiresMs, client }: ShownRequest): string {
  const approvals = people.length === 0 ? 'nobody approved' : `approved by ${people.join(', ')}`;
  const wanted = missing > 0 ? `, ${missing} more wanted` : '';
  const until = new Date(expiresMs).toISOString();
  return `${id}  ${role} version ${version}  ${state}: ${approvals}${wanted}; asked by ${client}, until ${until}`;
}

function jsonOf({ people, ...request }: ShownRequest): JsonObject {
  return { ...request, people: [...people] };
}
