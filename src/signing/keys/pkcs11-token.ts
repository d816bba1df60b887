import { messageOf } from '../../core/errors.ts';
import type { KeySelector, TokenSelector } from './key-reference.ts';
import { HsmError, type HsmErrorCode } from './pkcs11-error.ts';
import type { SignRequest } from './pkcs11-messages.ts';
import type { ReadPin } from './pkcs11-pin-guard.ts';
import type { Pkcs11Process } from './pkcs11-process.ts';
import { Deadline, Pkcs11Thread, within } from './pkcs11-thread.ts';

export interface Pkcs11TokenOptions {
  readonly modulePath: string;
  readonly token: TokenSelector;
  readonly readPin: ReadPin;
  readonly process: Pkcs11Process;
  readonly sessions: number;
  /** For one signature, from the call to the answer. */
  readonly deadlineMs: number;
}

interface Lane {
  readonly thread: Pkcs11Thread;
  isConnected: boolean;
}

/**
 * One token with a pool of sessions, each in a thread of its own; a session is opened when all that are
 * open have work. A session that was lost is opened once more, then the call fails.
 */
export class Pkcs11Token {
  private readonly options: Pkcs11TokenOptions;
  private readonly idle: Lane[] = [];
  private lanes = 0;
  private readonly queue: ((lane: Lane) => void)[] = [];
  private wasConnected = false;
  private isClosed = false;

  constructor(options: Pkcs11TokenOptions) {
    this.options = options;
  }

  /** @returns SubjectPublicKeyInfo, hex @throws {HsmError} */
  findKey(key: KeySelector): Promise<string> {
    return this.run(({ thread }) => thread.ask({ op: 'find-key', key }));
  }

  /** Any number at once. @throws {HsmError} and never answers with a signature that does not verify */
  sign(request: SignRequest): Promise<Uint8Array> {
    return this.run(({ thread }) => thread.ask({ op: 'sign', ...request }));
  }

  /** For good. Sessions that a slow module still holds end when it lets go of them. */
  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all(this.idle.splice(0).map((lane) => this.end(lane)));
  }

  /** Also where nobody is logged in: a session that stays open keeps others of this process logged in. */
  private async end({ thread }: Lane): Promise<void> {
    try {
      await within(new Deadline(this.options.deadlineMs), thread.ask({ op: 'disconnect' }));
    } catch {
      // A session that cannot be closed ends with its thread, or with the process.
    }
    await thread.end();
  }

  /** The lane comes back when its module lets go of it, however long nobody waits any more. */
  private run<Value>(action: (lane: Lane) => Promise<Value>): Promise<Value> {
    const deadline = new Deadline(this.options.deadlineMs);
    return within(deadline, this.runInOne(action, deadline));
  }

  private async runInOne<Value>(action: (lane: Lane) => Promise<Value>, deadline: Deadline): Promise<Value> {
    const lane = await this.take();
    try {
      return await this.runIn(lane, { action, deadline });
    } catch (error) {
      if (!hasCode(error, 'hsm-gone')) throw error;
      return await this.runIn(lane, { action, deadline });
    } finally {
      this.give(lane);
    }
  }

  /** Whatever fails may leave a session with half an operation in it: the next call opens a new one. */
  private async runIn<Value>(
    lane: Lane,
    { action, deadline }: { action: (lane: Lane) => Promise<Value>; deadline: Deadline },
  ): Promise<Value> {
    try {
      await this.connect(lane, deadline);
      this.requireWanted(deadline);
      return await action(lane);
    } catch (error) {
      lane.isConnected = false;
      throw this.wasConnected ? goneIfMissing(error) : error;
    }
  }

  private async connect(lane: Lane, deadline: Deadline): Promise<void> {
    this.requireWanted(deadline);
    if (lane.isConnected) return;
    const { process, modulePath, token, readPin } = this.options;
    const state = await process.inTurn(modulePath, () =>
      lane.thread.ask({ op: 'connect', modulePath, token }),
    );
    this.requireWanted(deadline);
    if (state.needsLogin)
      await process.guardOf(modulePath, state).login({
        token: state,
        isLoggedIn: () => lane.thread.ask({ op: 'is-logged-in' }),
        readPin: (asked) => deadline.notDuring(() => readPin(asked)),
        tryPin: (pin) => lane.thread.ask({ op: 'login', pin }),
      });
    lane.isConnected = true;
    this.wasConnected = true;
  }

  /** Between two steps: what nobody waits for any more is not begun. */
  private requireWanted(deadline: Deadline): void {
    deadline.requireLeft();
    if (this.isClosed) throw new HsmError('hsm-gone', 'the sessions with this HSM were closed');
  }

  private async take(): Promise<Lane> {
    const lane = this.idle.pop() ?? this.addLane();
    return lane ?? new Promise((resolve) => this.queue.push(resolve));
  }

  private give(lane: Lane): void {
    const next = this.queue.shift();
    if (next !== undefined) next(lane);
    else if (this.isClosed) void this.end(lane);
    else this.idle.push(lane);
  }

  private addLane(): Lane | undefined {
    if (this.lanes >= this.options.sessions) return undefined;
    this.lanes += 1;
    return { thread: new Pkcs11Thread(), isConnected: false };
  }
}

/** A token that was there before is gone, not missing. */
function goneIfMissing(error: unknown): unknown {
  if (!hasCode(error, 'hsm-token-missing')) return error;
  return new HsmError('hsm-gone', `the HSM went away: ${messageOf(error)}`, { cause: error });
}

function hasCode(error: unknown, code: HsmErrorCode): boolean {
  return error instanceof HsmError && error.code === code;
}
