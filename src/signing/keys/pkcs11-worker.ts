import { parentPort } from 'node:worker_threads';
import { messageOf } from '../../core/errors.ts';
import { HsmError } from './pkcs11-error.ts';
import { Pkcs11Library } from './pkcs11-library.ts';
import type { Pkcs11Answers, Pkcs11Reply, Pkcs11Request } from './pkcs11-messages.ts';
import { Pkcs11Session } from './pkcs11-session.ts';

// The program of a thread that holds one session. All that may block for as long as an HSM likes is here.

let session: Pkcs11Session | undefined;

parentPort?.on('message', async (request: Pkcs11Request) => {
  parentPort?.postMessage(await replyTo(request));
});

async function replyTo(request: Pkcs11Request): Promise<Pkcs11Reply> {
  try {
    return { answer: await answerTo(request) };
  } catch (error) {
    if (error instanceof HsmError) return { error: { code: error.code, message: error.message } };
    return { error: { code: 'hsm-failed', message: `the HSM's thread failed: ${messageOf(error)}` } };
  }
}

async function answerTo(request: Pkcs11Request): Promise<Pkcs11Answers[keyof Pkcs11Answers]> {
  if (request.op === 'connect') {
    closeSession();
    session = new Pkcs11Session(await Pkcs11Library.load(request.modulePath), request.token);
    return session.token;
  }
  if (request.op === 'disconnect') return closeSession();
  if (session === undefined) throw new HsmError('hsm-gone', 'there is no session with the HSM');
  if (request.op === 'is-logged-in') return session.isLoggedIn();
  if (request.op === 'login') {
    session.login(request.pin);
    return undefined;
  }
  if (request.op === 'find-key') return session.findKey(request.key).spki;
  return new Uint8Array(session.sign(request));
}

/** What cannot be closed any more is closed. */
function closeSession(): undefined {
  try {
    session?.close();
  } catch {
    // The device went away, and the session with it.
  }
  session = undefined;
}
