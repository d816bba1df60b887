import { runBootSign } from './boot-sign/program.ts';

process.exitCode = await runBootSign(process.argv.slice(2));
