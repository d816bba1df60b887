import { Command } from 'commander';
import { startBootServer } from '../boot-server/compose.ts';
import { loadConfig } from '../boot-server/config.ts';
import { createLogger } from '../boot-server/logger.ts';
import { CodedError, messageOf } from '../core/errors.ts';

/** sysexits.h EX_CONFIG: a supervisor should not try again. */
const EXIT_CONFIG = 78;

const program = new Command('boot-server')
  .description('serve machines that boot over HTTPS and prove themselves with their TPM')
  .option('-c, --config <file>', 'configuration file, YAML or JSON (or BOOTWARD_CONFIG)')
  .parse();

try {
  const config = loadConfig(program.opts<{ config?: string }>().config, process.env);
  const logger = createLogger(config.log);
  const server = await startBootServer({ config, logger, ofProcess: true });
  stopOnSignal(server.stop);
} catch (error) {
  const code = error instanceof CodedError ? `${error.code}: ` : '';
  process.stderr.write(`boot-server: ${code}${messageOf(error)}\n`);
  process.exit(EXIT_CONFIG);
}

/** The first signal drains, a second one ends the process at once. */
function stopOnSignal(stop: () => Promise<void>): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (stopping) process.exit(1);
      stopping = true;
      stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
}
