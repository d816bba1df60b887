import { runKeyProcess } from './run.ts';

await runKeyProcess({ configFile: process.argv[2] ?? '', environment: process.env });
