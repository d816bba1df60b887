import { HsmError } from './pkcs11-error.ts';
import type { TokenState } from './pkcs11-messages.ts';

/** A PIN, asked for each time that a login needs it. It is kept nowhere else. */
export type ReadPin = (token: TokenState) => Promise<string>;

/**
 * Keeps one token's PIN from being locked by us: a wrong one is tried once in the life of a process, and
 * none is tried while the token says that few tries are left.
 */
export class PinGuard {
  private refused: HsmError | undefined;
  private running: Promise<void> | undefined;
  private readonly riskLock: boolean;

  constructor(policy: { riskLock: boolean }) {
    this.riskLock = policy.riskLock;
  }

  /**
   * Logins are the process's, so callers at the same time share one.
   *
   * @throws {HsmError} `hsm-pin-wrong`, `hsm-pin-not-tried`, `hsm-pin-locked`
   */
  login(input: {
    token: TokenState;
    /** By another session of this process. */
    isLoggedIn: () => Promise<boolean>;
    readPin: ReadPin;
    tryPin: (pin: string) => Promise<undefined>;
  }): Promise<void> {
    this.running ??= this.tryOnce(input).finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async tryOnce(input: Parameters<PinGuard['login']>[0]): Promise<void> {
    if (await input.isLoggedIn()) return;
    this.requireSafe(input.token);
    const pin = await input.readPin(input.token);
    try {
      await input.tryPin(pin);
    } catch (error) {
      if (error instanceof HsmError && (error.code === 'hsm-pin-wrong' || error.code === 'hsm-pin-locked'))
        this.refused = error;
      throw error;
    }
  }

  private requireSafe({ label, pin }: TokenState): void {
    if (this.refused !== undefined)
      throw new HsmError(
        'hsm-pin-not-tried',
        `the PIN of ${label} was wrong before, so it is not tried again: correct it, then start anew`,
        { cause: this.refused },
      );
    if (pin === 'locked') throw new HsmError('hsm-pin-locked', `the PIN of ${label} is locked`);
    if (pin === 'not-set')
      throw new HsmError('hsm-pin-not-tried', `${label} has no user PIN yet: initialize it`);
    if (pin === 'ok' || this.riskLock) return;
    const left =
      pin === 'last-try' ? 'one try is left' : 'someone has tried a wrong PIN, and few tries are left';
    throw new HsmError(
      'hsm-pin-not-tried',
      `${left} before ${label} locks, so the PIN is not tried: log in once with the HSM's own tool`,
    );
  }
}
