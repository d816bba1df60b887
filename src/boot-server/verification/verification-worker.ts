import { parentPort } from 'node:worker_threads';
import type { AppraisalInput } from '../../attestation/appraisal.ts';
import { decide } from './verification.ts';

// What runs in a verification thread: evidence in, outcome out, one at a time.
parentPort?.on('message', (input: AppraisalInput) => parentPort?.postMessage(decide(input)));
parentPort?.postMessage('ready');
