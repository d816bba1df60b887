import type { TokenState } from './pkcs11-messages.ts';
import { PinGuard } from './pkcs11-pin-guard.ts';

/** What PKCS#11 keeps once per process. A process has one of these. */
export class Pkcs11Process {
  private readonly guards = new Map<string, PinGuard>();
  private readonly turns = new Map<string, Promise<unknown>>();
  private readonly policy: { riskLock: boolean };

  /** @param policy riskLock: try a PIN although the token says that few tries are left */
  constructor(policy: { riskLock: boolean }) {
    this.policy = policy;
  }

  /** Logged in, or a PIN refused, is the token, by whatever reference it was opened. */
  guardOf(modulePath: string, { serial, label }: TokenState): PinGuard {
    const name = JSON.stringify([modulePath, serial, label]);
    const guard = this.guards.get(name) ?? new PinGuard(this.policy);
    this.guards.set(name, guard);
    return guard;
  }

  /** One at a time for each module: while one thread initializes it, none may come in between. */
  inTurn<Value>(modulePath: string, action: () => Promise<Value>): Promise<Value> {
    const before = this.turns.get(modulePath) ?? Promise.resolve();
    const turn = before.then(action, action);
    this.turns.set(modulePath, turn);
    return turn;
  }
}
