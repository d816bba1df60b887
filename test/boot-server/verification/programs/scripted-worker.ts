import { parentPort } from 'node:worker_threads';
import type { AppraisalInput } from '../../../../src/attestation/appraisal.ts';
import { decide } from '../../../../src/boot-server/verification/verification.ts';

const NOBODY_WAKES = new Int32Array(new SharedArrayBuffer(4));
const STARVED_MS = 1000;

// A verification thread that does what the evidence's challenge says, and decides when that says nothing.
const held: unknown[] = [];

function act(input: AppraisalInput): unknown {
  switch (input.challenge) {
    case 'hang':
      for (;;);
    case 'starve':
      Atomics.wait(NOBODY_WAKES, 0, 0, STARVED_MS);
      return decide(input);
    case 'sleep':
      return Atomics.wait(NOBODY_WAKES, 0, 0);
    case 'throw':
      throw new Error('a fault of ours');
    case 'exhaust':
      for (;;) held.push(new Array(100_000).fill(Math.random()));
    case 'exit':
      return process.exit(0);
    case 'say nothing of value':
      return { appraisal: {}, evidenceDocument: '' };
    case 'accept without facts':
      return { appraisal: { verdict: 'accept', reasons: [], notes: [] }, evidenceDocument: '' };
    case 'say undefined':
      return undefined;
    default:
      return decide(input);
  }
}

parentPort?.on('message', (input: AppraisalInput) => parentPort?.postMessage(act(input)));
parentPort?.postMessage('ready');
