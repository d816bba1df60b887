import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256, toHex } from '../../src/core/bytes.ts';
import {
  type Authority,
  createAuthority,
  issueEk,
  KeyUsageFlags,
  NOT_AFTER,
  NOT_BEFORE,
} from '../../src/fleet-sim/chip/manufacturer.ts';
import { createEk } from '../attestation/endorsement/certificate-maker.ts';
import { crlPem, issueCrl } from '../attestation/x509/crl-maker.ts';
import { CORPORA } from '../corpora.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/boot-admin.mjs');

let folder: string;
let root: Authority;
let intermediate: Authority;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootward-check-'));
  root = await createAuthority('Root', undefined, {
    keyUsage: KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign,
  });
  intermediate = await createAuthority('Below', root);
  // As the cabinets of vendor bundles unpack: a folder for each vendor and kind, scripts beside them.
  mkdirSync(join(folder, 'bundle/Maker/RootCA'), { recursive: true });
  mkdirSync(join(folder, 'bundle/Maker/IntermediateCA'), { recursive: true });
  writeFileSync(join(folder, 'bundle/Maker/RootCA/Root CA.CRT'), root.certificate);
  writeFileSync(join(folder, 'bundle/Maker/IntermediateCA/below.cer'), intermediate.certificate);
  writeFileSync(
    join(folder, 'bundle/Maker/root.crl'),
    crlPem(await issueCrl(root, { thisUpdate: NOT_BEFORE, nextUpdate: NOT_AFTER })),
  );
  writeFileSync(join(folder, 'bundle/setup.ps1'), 'Write-Host');
});

afterAll(() => rmSync(folder, { recursive: true }));

interface Run {
  status: number;
  stdout: string;
  stderr: string;
}

function check(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, 'trust-anchors', 'check', ...args], (error, stdout, stderr) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
  });
}

async function checkJson(...args: string[]) {
  const { status, stdout } = await check('-o', 'json', ...args);
  return { status, ...JSON.parse(stdout) };
}

const inFile = (name: string, contents: Uint8Array | string): string => {
  writeFileSync(join(folder, name), contents);
  return join(folder, name);
};

describe('boot-admin trust-anchors check', () => {
  test('describes an unpacked bundle without a server', async () => {
    const { status, stdout } = await check(join(folder, 'bundle'));
    expect(status).toBe(1);
    expect(stdout).toMatch(/root +unknown .*2040-01-01 00:00:00 +CN=Root/);
    expect(stdout).toMatch(/intermediate +unknown .*CN=Below/);
    expect(stdout).toMatch(/crl +unknown .*CN=Root +lists 0 certificates/);
    expect(stdout).toMatch(
      /root: 1, 1 unknown\nintermediate: 1, 1 unknown\ncrl: 1, 1 unknown\nnot usable: 0\n$/,
    );
  });

  test('names each file that is none, and judges the others', async () => {
    const { publicKey } = await createEk();
    const faulty = [
      inFile('leaf.pem', await issueEk(publicKey, root)),
      inFile('text.pem', 'text'),
      inFile('other.crl', await issueCrl(await createAuthority('Nobody'))),
    ];
    const { status, faults, trustAnchors } = await checkJson(join(folder, 'bundle'), ...faulty);
    expect(status).toBe(1);
    expect(faults).toEqual(
      expect.arrayContaining([
        { file: faulty[0], fault: expect.stringContaining('is no CA certificate') },
        { file: faulty[1], fault: expect.stringContaining('0 PEM blocks') },
        { file: faulty[2], fault: expect.stringContaining('signed by none of the CAs') },
      ]),
    );
    expect(trustAnchors).toHaveLength(3);
  });

  test('says by which path and with which notes an EK certificate would be certified', async () => {
    const { publicKey } = await createEk();
    const certificate = await issueEk(publicKey, intermediate);
    const { ek } = await checkJson(join(folder, 'bundle'), '--ek', inFile('ek.der', certificate));
    expect(ek).toEqual({
      certified: true,
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
      path: [expect.any(String), 'CN=Below', 'CN=Root'],
      notes: ['ek-crl-missing: no CRL of CN=Below'],
    });
    const stored = Buffer.concat([certificate, Buffer.alloc(50, 0xff)]);
    const { ek: again } = await checkJson(join(folder, 'bundle'), '--ek', inFile('ek.nv', stored));
    expect(again).toEqual(ek);
  });

  test('says why an EK certificate would not be certified', async () => {
    const { publicKey } = await createEk();
    const file = inFile('foreign.der', await issueEk(publicKey, await createAuthority('Elsewhere')));
    const { status, ek } = await checkJson(join(folder, 'bundle'), '--ek', file);
    expect([status, ek]).toEqual([
      1,
      { certified: false, reason: expect.stringMatching(/^ek-certificate-untrusted: .*CN=Elsewhere/) },
    ]);
  });

  test('exits 1 where there is nothing, and says what cannot be read', async () => {
    mkdirSync(join(folder, 'empty'));
    expect((await check(join(folder, 'empty'))).status).toBe(1);
    expect(await check(join(folder, 'missing'))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('cannot read'),
    });
  });

  test.skipIf(!existsSync(CORPORA))(
    'knows all published roots (skipped without ../shared/corpora)',
    async () => {
      const published = join(CORPORA, 'loicsikidi/tpm-ca-certificates');
      const { status, stdout } = await check(published);
      expect([status, stdout.split('\n').slice(-5)]).toEqual([
        0,
        ['root: 26, 26 known', 'intermediate: 143, 143 known', 'crl: 0', 'not usable: 0', ''],
      ]);
      const { trustAnchors } = await checkJson(join(CORPORA, 'keylime/keylime/tpm_cert_store'));
      const statuses = Map.groupBy(
        trustAnchors as { role: string; status: string }[],
        ({ role, status: found }) => `${role} ${found}`,
      );
      expect([...statuses].map(([standing, all]) => `${all.length} ${standing}`).toSorted()).toEqual([
        '13 root known',
        '14 intermediate unanchored',
        '18 intermediate known',
      ]);
    },
  );

  test('writes hashes that openssl computes too', async () => {
    const { trustAnchors } = await checkJson(inFile('root.der', root.certificate));
    expect(trustAnchors[0].sha256).toBe(toHex(sha256(root.certificate)));
  });
});
