import { Command } from 'commander';
import { loadConfig } from '../boot-signer/config.ts';
import { initialiseState } from '../boot-signer/initialise.ts';
import { startSigningService } from '../boot-signer/serve.ts';
import { CodedError, messageOf } from '../core/errors.ts';

/** sysexits.h EX_CONFIG: a supervisor should not try again; a wrong PIN is not tried again. */
const EXIT_CONFIG = 78;
/** EX_TEMPFAIL: the key process ended; start again. */
const EXIT_STOPPED = 75;

const program = new Command('boot-signer').description(
  'the signing service: holds keys and signs what policy allows',
);

program
  .command('init')
  .description('begin the memory of a new service; nothing that is there changes')
  .requiredOption('-c, --config <FILE>', 'configuration file')
  .option('--repository <DIR>', 'go on from the metadata of this repository, instead of from nothing')
  .action(async ({ config, repository }: { config: string; repository?: string }) => {
    const roles = await initialiseState(loadConfig(config), {
      nowMs: Date.now(),
      ...(repository !== undefined && { repository }),
    });
    process.stdout.write(
      `${roles.length === 0 ? 'begun: every role starts at version 1' : `begun after ${roles.join(', ')}`}\n`,
    );
  });

program
  .command('serve')
  .description('answer on the configured socket')
  .requiredOption('-c, --config <FILE>', 'configuration file')
  .action(async ({ config }: { config: string }) => {
    const service = await startSigningService({ configFile: config, environment: process.env });
    let stopping = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => {
        if (stopping) process.exit(1);
        stopping = true;
        service.stop().then(
          () => process.exit(0),
          () => process.exit(1),
        );
      });
    const how = await service.ended;
    if (stopping) return;
    process.stderr.write(`boot-signer: the key process ended (${how})\n`);
    process.exit(EXIT_STOPPED);
  });

try {
  await program.parseAsync();
} catch (error) {
  const code = error instanceof CodedError ? `${error.code}: ` : '';
  process.stderr.write(`boot-signer: ${code}${messageOf(error)}\n`);
  process.exit(EXIT_CONFIG);
}
