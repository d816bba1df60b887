import { execFileSync } from 'node:child_process';
import type { UntrustedFloorCertificate } from '../../src/attestation/floor/floor-certification.ts';
import { FLOOR_POLICY_REF, floorApprovalMessage } from '../../src/attestation/floor/floor-index.ts';
import { fromHex, sha256, toHex } from '../../src/core/bytes.ts';
import { parseTpm2bPublic } from '../../src/tpm/public-area.ts';
import { type SoftwareTpm, startSoftwareTpm } from './software-tpm.ts';

const AK_ATTRIBUTES = 'restricted|sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda';
export const INDEX = '0x0180b007';
const ATTRIBUTES = 'policywrite|write_stclear|ownerread|authread|no_da';
const PCRS = [4, 11, 12, 13, 14];

/** What booting the one stage-0 of these tests measures. */
const MEASURED = { 4: sha256(Buffer.from('stage-0')), 11: sha256(Buffer.from('its sections')) };
const afterOneExtend = (digest: Uint8Array) => sha256(new Uint8Array(32), digest);
export const PREDICTED = { pcr4: afterOneExtend(MEASURED[4]), pcr11: afterOneExtend(MEASURED[11]) };

/** Stage-0 and whoever comes after it, at a real TPM (swtpm), with the commands of tpm2-tools. */
export class FloorTpm {
  readonly tpm: SoftwareTpm;

  private constructor(tpm: SoftwareTpm) {
    this.tpm = tpm;
  }

  static async start(): Promise<FloorTpm> {
    const machine = new FloorTpm(await startSoftwareTpm());
    machine.measure();
    machine.createAk();
    return machine;
  }

  stop(): void {
    this.tpm.stop();
  }

  /** Power off and on, and firmware starts the same stage-0. */
  powerCycle(measured: Record<number, Uint8Array> = MEASURED): void {
    this.run('tpm2_shutdown', '-c');
    execFileSync('swtpm_ioctl', ['--tcp', `127.0.0.1:${this.tpm.ports.control}`, '-i'], { stdio: 'ignore' });
    this.run('tpm2_startup', '-c');
    this.measure(measured);
    this.createAk();
  }

  extend(pcr: number, digest: Uint8Array): void {
    this.run('tpm2_pcrextend', `${pcr}:sha256=${toHex(digest)}`);
  }

  /** TPM2_Clear, as firmware setup does it. */
  clear(): void {
    this.run('tpm2_clear', '-c', 'p');
    this.createAk();
  }

  get akPublic(): Uint8Array {
    return parseTpm2bPublic(this.tpm.read('ak.pub')).raw;
  }

  /** Loads a public key as stage-0 does; its Name. @param pem SubjectPublicKeyInfo */
  loadFloorKey(pem: string): string {
    this.tpm.write('floor.pem', Buffer.from(pem));
    this.run(
      'tpm2_loadexternal',
      '-Q',
      '-C',
      'o',
      '-G',
      'ecc',
      '-u',
      'floor.pem',
      '-c',
      'floor.ctx',
      '-n',
      'floor.name',
    );
    this.flush();
    return toHex(this.tpm.read('floor.name'));
  }

  define(authPolicy: Uint8Array, attributes = ATTRIBUTES): void {
    this.tpm.write('policy', authPolicy);
    this.run(
      'tpm2_nvdefine',
      '-Q',
      '-C',
      'o',
      INDEX,
      '-s',
      '64',
      '-g',
      'sha256',
      '-a',
      attributes,
      '-L',
      'policy',
    );
  }

  undefine(): void {
    this.run('tpm2_nvundefine', '-C', 'o', INDEX);
  }

  /** Fails where the PCRs are others, or the loaded key did not sign this. */
  write(record: Uint8Array, approval: Uint8Array): void {
    this.tpm.write('record', record);
    this.withPolicy(approval, () =>
      this.run('tpm2_nvwrite', '-Q', '-C', INDEX, '-P', 'session:s.ctx', '-i', 'record', INDEX),
    );
  }

  lock(approval: Uint8Array): void {
    this.withPolicy(approval, () => this.run('tpm2_nvwritelock', '-C', INDEX, '-P', 'session:s.ctx', INDEX));
  }

  /** The session is opened first, and what happens meanwhile is `between`. */
  writeAfter(record: Uint8Array, approval: Uint8Array, between: () => void): void {
    this.tpm.write('record', record);
    this.withPolicy(approval, () => {
      between();
      this.run('tpm2_nvwrite', '-Q', '-C', INDEX, '-P', 'session:s.ctx', '-i', 'record', INDEX);
    });
  }

  ownerWrite(record: Uint8Array): void {
    this.tpm.write('record', record);
    this.run('tpm2_nvwrite', '-Q', '-C', 'o', '-i', 'record', INDEX);
  }

  ownerLock(): void {
    this.run('tpm2_nvwritelock', '-C', 'o', INDEX);
  }

  name(): string {
    return /name: ([0-9a-f]+)/.exec(this.run('tpm2_nvreadpublic', INDEX))?.[1] ?? '';
  }

  quote(extraData: Uint8Array) {
    const outputs = ['-m', 'quote.att', '-s', 'quote.sig'];
    this.run(
      'tpm2_quote',
      '-Q',
      '-c',
      'ak.ctx',
      '-l',
      `sha256:${PCRS.join(',')}`,
      '-q',
      toHex(extraData),
      ...outputs,
    );
    this.flush();
    const values = PCRS.map((pcr) => [pcr, this.readPcr(pcr)] as const);
    const pcrs = new Map([['sha256', new Map(values)]]);
    return { attest: this.tpm.read('quote.att'), signature: this.tpm.read('quote.sig'), pcrs };
  }

  certify(extraData: Uint8Array): UntrustedFloorCertificate {
    const to = ['-o', 'nv.sig', '--attestation', 'nv.att', '-f', 'tss'];
    const of = ['-C', 'ak.ctx', '-c', INDEX, '-g', 'sha256', '-s', 'ecdsa', '--size', '64'];
    this.run('tpm2_nvcertify', ...of, ...to, '-q', toHex(extraData), INDEX);
    this.flush();
    const attest = this.tpm.read('nv.att');
    return { attest, signature: this.tpm.read('nv.sig'), contents: attest.slice(-64) };
  }

  private withPolicy(approval: Uint8Array, work: () => void): void {
    const { tpm } = this;
    const message = floorApprovalMessage(PREDICTED);
    tpm.write('message', message);
    tpm.write('approved', message.subarray(0, 32));
    tpm.write('reference', FLOOR_POLICY_REF);
    tpm.write('approval', approval);
    this.run('tpm2_startauthsession', '-Q', '--policy-session', '-S', 's.ctx');
    try {
      this.run('tpm2_policypcr', '-Q', '-S', 's.ctx', '-l', `sha256:${PCRS.join(',')}`);
      this.run(
        'tpm2_loadexternal',
        '-Q',
        '-C',
        'o',
        '-G',
        'ecc',
        '-u',
        'floor.pem',
        '-c',
        'floor.ctx',
        '-n',
        'floor.name',
      );
      const by = ['-c', 'floor.ctx', '-g', 'sha256', '-f', 'ecdsa'];
      this.run('tpm2_verifysignature', '-Q', ...by, '-m', 'message', '-s', 'approval', '-t', 'ticket');
      const of = ['-i', 'approved', '-q', 'reference', '-n', 'floor.name', '-t', 'ticket'];
      this.run('tpm2_policyauthorize', '-Q', '-S', 's.ctx', ...of);
      work();
    } finally {
      this.run('tpm2_flushcontext', 's.ctx');
      this.flush();
    }
  }

  private measure(measured: Record<number, Uint8Array> = MEASURED): void {
    for (const [pcr, digest] of Object.entries(measured)) this.extend(Number(pcr), digest);
  }

  private createAk(): void {
    const of = ['-C', 'e', '-G', 'ecc256:ecdsa-sha256:null', '-a', AK_ATTRIBUTES, '-c', 'ak.ctx'];
    this.run('tpm2_createprimary', '-Q', ...of);
    this.flush();
    this.run('tpm2_readpublic', '-Q', '-c', 'ak.ctx', '-o', 'ak.pub');
    this.flush();
  }

  private readPcr(pcr: number): Uint8Array {
    const text = this.run('tpm2_pcrread', `sha256:${pcr}`);
    return fromHex((/0x([0-9A-F]{64})/.exec(text)?.[1] ?? '').toLowerCase());
  }

  private flush(): void {
    this.run('tpm2_flushcontext', '-t');
  }

  private run(tool: string, ...args: string[]): string {
    return this.tpm.run(tool, ...args);
  }
}
