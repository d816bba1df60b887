import { describeProposal } from '../../signing/tuf/describe-proposal.ts';
import { proposeTrust, type Trust, trustOf } from '../../signing/tuf/propose.ts';
import { carryOut, printCarriedOut } from './carry-out.ts';
import { changeRepository } from './change-repository.ts';
import { type CommandContext, printResult, type SigningOptions } from './command.ts';
import { openRepository } from './open-repository.ts';

export interface ChangeOptions extends SigningOptions {
  readonly dryRun?: true;
}

/** Edits who may sign what, and says what that changes. */
export function changeTrust(
  context: CommandContext,
  { folder, options, edit }: { folder: string; options: ChangeOptions; edit: (trust: Trust) => Trust },
): Promise<void> {
  return changeRepository(folder, options, async ({ keys }) => {
    const nowMs = context.clock.nowMs();
    const repository = await openRepository(folder, { ...context, nowMs });
    const { current, expiry } = repository;
    const proposal = proposeTrust(current, edit(trustOf(current)), expiry.offlineMs);
    const changes = [...describeProposal(proposal, current)];
    if (options.dryRun) {
      await printResult(context, options, { lines: ['would sign:', ...changes], json: { changes } });
      return;
    }
    const carriedOut = await carryOut(repository, { proposal, keys, nowMs });
    const lines = [carriedOut.inForce ? 'in force:' : 'proposed:', ...changes];
    await printCarriedOut(context, options, { result: { lines, json: { changes } }, carriedOut });
  });
}
