import { CodedError, messageOf } from '../core/errors.ts';
import { createProgram } from './program.ts';

/** sysexits.h EX_USAGE */
const EXIT_USAGE = 64;

try {
  await createProgram((text) => process.stdout.write(text)).parseAsync();
} catch (error) {
  const code = error instanceof CodedError ? `${error.code}: ` : '';
  process.stderr.write(`fleet-sim: ${code}${messageOf(error)}\n`);
  process.exit(EXIT_USAGE);
}
