// Run by durable-file.test.ts as a process of its own, killed at a chosen system call.
import { sweepTemporaryFiles, writeFileDurably } from '../../src/core/durable-file.ts';

const [folder = '', replace = ''] = process.argv.slice(2);
await sweepTemporaryFiles(folder);
await writeFileDurably({ path: `${folder}/file`, contents: 'new contents', replace: replace === 'replace' });
process.stdout.write('acknowledged');
