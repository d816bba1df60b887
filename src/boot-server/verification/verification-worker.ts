import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import type { AppraisalInput } from '../../attestation/appraisal.ts';
import { decide } from './verification.ts';

// What runs in a verification thread: evidence in, outcome out, one at a time.

// Of this thread alone, as Linux has it: where cores are short, answering goes before deciding.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
parentPort?.on('message', (input: AppraisalInput) => parentPort?.postMessage(decide(input)));
parentPort?.postMessage('ready');
