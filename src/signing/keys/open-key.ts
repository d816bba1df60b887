import { createPublicKey } from 'node:crypto';
import type { Signer } from '../signer.ts';
import { openHookRsaSigner, openHookSigner } from './command-hook-signer.ts';
import { decryptKey } from './encrypted-key.ts';
import { loadKeyFile, openKeyFile } from './key-file.ts';
import { type KeyReference, type Pkcs11Reference, parseKeyReference } from './key-reference.ts';
import type { TokenState } from './pkcs11-messages.ts';
import { Pkcs11Process } from './pkcs11-process.ts';
import { openPkcs11RsaSigner, openPkcs11Signer } from './pkcs11-signer.ts';
import { Pkcs11Token } from './pkcs11-token.ts';
import { requireRsaPkcs1Key } from './rsa-pkcs1-key.ts';
import { createRsaPkcs1Signer, type RsaPkcs1Signer } from './rsa-pkcs1-signer.ts';
import { readSecret } from './secret-source.ts';

/** Asked when a secret is needed, each time anew; kept nowhere. See readSecret in secret-source.ts. */
export interface KeySecrets {
  passphraseOf(path: string): Promise<string>;
  /** Not asked when the reference names a file with pin-source. */
  pinOf(token: Pick<TokenState, 'label' | 'serial'>): Promise<string>;
}

export interface KeyOpenerOptions {
  readonly secrets: KeySecrets;
  /** Sessions with each token at most. */
  readonly sessions?: number;
  /** For one signature of a token, or one run of a hook. */
  readonly deadlineMs?: number;
  /** Try a PIN although the token says that few tries are left. */
  readonly riskPinLock?: boolean;
}

const SESSIONS = 4;
const HSM_DEADLINE_MS = 10_000;
const HOOK_OUTPUT_BYTES = 32 * 1024;
const HOOK_DEADLINE_MS = 30_000;

/**
 * Opens what key references name. A process has one: it remembers which PIN was wrong, and shares the
 * sessions of keys on one token.
 */
export class KeyOpener {
  private readonly options: KeyOpenerOptions;
  private readonly process: Pkcs11Process;
  private readonly tokens = new Map<string, Pkcs11Token>();

  constructor(options: KeyOpenerOptions) {
    this.options = options;
    this.process = new Pkcs11Process({ riskLock: options.riskPinLock ?? false });
  }

  /** @throws {KeyReferenceError} {KeyError} {HsmError} {HookError} {SecretError} {PublicKeyError} */
  async open(reference: string | KeyReference): Promise<Signer> {
    const parsed = typeof reference === 'string' ? parseKeyReference(reference) : reference;
    if (parsed.kind === 'file')
      return openKeyFile(parsed.path, await this.options.secrets.passphraseOf(parsed.path));
    if (parsed.kind === 'hook') return openHookSigner(this.hook(parsed.path));
    return openPkcs11Signer(this.tokenOf(parsed), parsed.key);
  }

  /** @throws as {@link open}, and {RsaKeyError} */
  async openRsaPkcs1(reference: string | KeyReference): Promise<RsaPkcs1Signer> {
    const parsed = typeof reference === 'string' ? parseKeyReference(reference) : reference;
    if (parsed.kind === 'file') return this.openRsaFile(parsed.path);
    if (parsed.kind === 'hook') return openHookRsaSigner(this.hook(parsed.path));
    return openPkcs11RsaSigner(this.tokenOf(parsed), parsed.key);
  }

  /** Ends all sessions, and so the login with every token. */
  async close(): Promise<void> {
    const tokens = [...this.tokens.values()];
    this.tokens.clear();
    await Promise.all(tokens.map((token) => token.close()));
  }

  private async openRsaFile(path: string): Promise<RsaPkcs1Signer> {
    const encrypted = await loadKeyFile(path);
    const privateKey = await decryptKey(encrypted, await this.options.secrets.passphraseOf(path));
    requireRsaPkcs1Key(createPublicKey(privateKey));
    return createRsaPkcs1Signer(privateKey);
  }

  private hook(program: string) {
    const deadlineMs = this.options.deadlineMs ?? HOOK_DEADLINE_MS;
    return { program, limits: { deadlineMs, maxOutputBytes: HOOK_OUTPUT_BYTES } };
  }

  private tokenOf({ modulePath, token, pinFile }: Pkcs11Reference): Pkcs11Token {
    const name = JSON.stringify([modulePath, token.label, token.serial, pinFile]);
    const opened = this.tokens.get(name) ?? this.createToken({ modulePath, token, pinFile });
    this.tokens.set(name, opened);
    return opened;
  }

  private createToken(of: Pick<Pkcs11Reference, 'modulePath' | 'token'> & { pinFile: string | undefined }) {
    const { modulePath, token, pinFile } = of;
    return new Pkcs11Token({
      modulePath,
      token,
      process: this.process,
      readPin: (asked) =>
        pinFile === undefined
          ? this.options.secrets.pinOf({ label: asked.label, serial: asked.serial })
          : readSecret({ kind: 'file', path: pinFile }),
      sessions: this.options.sessions ?? SESSIONS,
      deadlineMs: this.options.deadlineMs ?? HSM_DEADLINE_MS,
    });
  }
}
