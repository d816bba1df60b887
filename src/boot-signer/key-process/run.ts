import { Socket } from 'node:net';
import { systemClock } from '../../core/clock.ts';
import { CodedError, messageOf } from '../../core/errors.ts';
import { systemRandom } from '../../core/random.ts';
import { describeUnknownError } from '../../core/unknown-error.ts';
import { openAuditWriter, type Step } from '../audit/audit-writer.ts';
import { loadConfig } from '../config.ts';
import { isProblemCode } from '../errors.ts';
import { DESCRIPTORS } from './descriptors.ts';
import { Desk } from './desk.ts';
import { Ledger } from './ledger.ts';
import { answerCall, type Call, parseCall } from './messages.ts';
import { openKeys } from './open-keys.ts';
import { migrationsFrom } from './state-format.ts';

/** sysexits.h: a supervisor tries again after the one, and not after the other: a PIN is tried once. */
const EXIT_STOPPED = 75;
const EXIT_CONFIG = 78;

const MAX_CALL_BYTES = 16 * 1024 * 1024;

/**
 * The process that holds the keys. It has no file, socket, program or thread but what it inherited: the channel
 * to the front, the audit log, the anchor. It ends when the front does.
 *
 * @param step called with the name of each step that a signature takes; tests end the process there
 */
export async function runKeyProcess(input: {
  configFile: string;
  environment: NodeJS.ProcessEnv;
  step?: Step;
}): Promise<void> {
  const channel = new Socket({ fd: DESCRIPTORS.channel, readable: true, writable: true });
  channel.on('error', () => process.exit(EXIT_STOPPED));
  channel.on('end', () => process.exit(0));
  const send = (message: object) => channel.write(`${JSON.stringify(message)}\n`);
  try {
    const desk = await openDesk(input);
    send({ ready: true });
    serve(channel, desk, send);
  } catch (error) {
    const code = error instanceof CodedError ? error.code : 'key-process-failed';
    channel.end(`${JSON.stringify({ failed: { code, message: messageOf(error) } })}\n`, () =>
      process.exit(EXIT_CONFIG),
    );
  }
}

async function openDesk({
  configFile,
  environment,
  step = () => {},
}: {
  configFile: string;
  environment: NodeJS.ProcessEnv;
  step?: Step;
}) {
  const config = loadConfig(configFile);
  const keys = await openKeys(config, environment);
  const files = { log: DESCRIPTORS.log, anchor: DESCRIPTORS.anchor };
  const { writer, records } = await openAuditWriter({ files, clock: systemClock, step, onFailure: stop });
  const ledger = new Ledger(records);
  for (const event of migrationsFrom(ledger.format)) {
    ledger.apply(event, systemClock.nowMs());
    await writer.append({ ...event });
  }
  return new Desk({ config, keys, ledger, audit: writer, clock: systemClock, random: systemRandom, step });
}

/** What a write that failed left behind is known after a new start reads it. */
function stop(error: Error): void {
  process.stderr.write(`boot-signer: the audit log cannot be written: ${error.message}\n`);
  process.exit(EXIT_STOPPED);
}

function serve(channel: Socket, desk: Desk, send: (message: object) => void): void {
  let buffered: Buffer[] = [];
  let length = 0;
  channel.on('data', (chunk: Buffer) => {
    let rest = chunk;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      const line = Buffer.concat([...buffered, rest.subarray(0, end)]);
      buffered = [];
      length = 0;
      rest = rest.subarray(end + 1);
      void answer(desk, line, send);
    }
    buffered.push(rest);
    length += rest.length;
    if (length > MAX_CALL_BYTES) process.exit(EXIT_STOPPED);
  });
}

/** A front that says something else is not our front any more. */
function callIn(line: Uint8Array): Call {
  try {
    return parseCall(line, MAX_CALL_BYTES);
  } catch (error) {
    process.stderr.write(`boot-signer: the front sent no call: ${messageOf(error)}\n`);
    process.exit(EXIT_STOPPED);
  }
}

async function answer(desk: Desk, line: Uint8Array, send: (message: object) => void): Promise<void> {
  const call = callIn(line);
  try {
    send({ number: call.number, result: await answerCall(desk, call) });
  } catch (error) {
    const isRefusal = error instanceof CodedError && isProblemCode(error.code);
    if (!isRefusal) process.stderr.write(`boot-signer: ${describeUnknownError(error, process.env)}\n`);
    const refusal = isRefusal
      ? { code: error.code, message: error.message }
      : { code: 'internal', message: 'the key process failed: its log says why' };
    send({ number: call.number, refusal });
  }
}
