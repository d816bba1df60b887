import { execFile } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isErrno } from '../../../src/core/errno.ts';
import type { ObjectRequest } from './pkcs11-objects.ts';

const run = promisify(execFile);
const HERE = import.meta.dirname;
const INCLUDES = join(HERE, '../../../node_modules/pkcs11js/includes/pkcs11');

export const SOFTHSM_MODULE = '/usr/lib/softhsm/libsofthsm2.so';
export const PIN = '123456';
const SO_PIN = '98765432';

type WithoutPin<Request> = Request extends unknown ? Omit<Request, 'pin'> : never;

/**
 * A SoftHSM of this process alone, by the environment that the module reads when it is first loaded: one
 * for each test file, which must be a process of its own (vitest's pool of forks).
 */
export class SoftHsm {
  /** SoftHSM through pkcs11-faulty-module.c. */
  readonly faultyModule: string;
  private readonly folder: string;
  private serial = 0;

  private constructor(folder: string) {
    this.folder = folder;
    this.faultyModule = join(folder, 'faulty.so');
  }

  static async create(): Promise<SoftHsm> {
    const folder = await mkdtemp(join(tmpdir(), 'bootward-softhsm-'));
    const hsm = new SoftHsm(folder);
    await mkdir(join(folder, 'tokens'));
    await writeFile(
      join(folder, 'conf'),
      `directories.tokendir = ${folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n`,
    );
    process.env.SOFTHSM2_CONF = join(folder, 'conf');
    process.env.BOOTWARD_FAULTS = join(folder, 'faults');
    return hsm;
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  async createToken(label: string): Promise<void> {
    await run('softhsm2-util', [
      ...['--init-token', '--free', '--label', label],
      ...['--pin', PIN, '--so-pin', SO_PIN],
    ]);
  }

  /** Private and public key, as `softhsm2-util --import` makes them: sensitive, not extractable. */
  async importKey(key: { token: string; label: string; id: string; privateKey: KeyObject }): Promise<void> {
    const file = join(this.folder, 'import.pem');
    await writeFile(file, key.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    await run('softhsm2-util', [
      ...['--import', file, '--token', key.token, '--pin', PIN],
      ...['--label', key.label, '--id', key.id, '--force'],
    ]);
    await rm(file);
  }

  async change(request: WithoutPin<ObjectRequest>): Promise<void> {
    await run(process.execPath, [join(HERE, 'pkcs11-objects.ts'), JSON.stringify({ ...request, pin: PIN })]);
  }

  async buildFaultyModule(): Promise<void> {
    const source = join(HERE, 'pkcs11-faulty-module.c');
    await run('cc', ['-shared', '-fPIC', `-I${INCLUDES}`, '-o', this.faultyModule, source, '-ldl']);
  }

  /** As pkcs11-faulty-module.c reads them; none makes it well again. */
  async setFaults(...lines: string[]): Promise<void> {
    const counted = lines.map((line) => `${line} ${++this.serial}\n`);
    const next = join(this.folder, 'faults.next');
    await writeFile(next, counted.join(''));
    await rename(next, join(this.folder, 'faults'));
  }

  async forgetCalls(): Promise<void> {
    await rm(join(this.folder, 'faults.log'), { force: true });
  }

  async callsOf(name: string): Promise<number> {
    const log = await readFile(join(this.folder, 'faults.log'), 'utf8').catch((error) => {
      if (isErrno(error, 'ENOENT')) return '';
      throw error;
    });
    return log.split('\n').filter((line) => line === name).length;
  }

  /** As if every token was pulled. */
  async pullTokens(): Promise<void> {
    await rename(join(this.folder, 'tokens'), join(this.folder, 'pulled'));
    await mkdir(join(this.folder, 'tokens'));
  }
}
