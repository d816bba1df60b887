import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { concatBytes, fromHex, sha256, toHex } from '../../src/core/bytes.ts';
import type { AgentRun } from './agent-run.ts';
import { type HostMachine, openRealLab, type RealLab } from './real-lab.ts';
import { POISONED } from './scripted-lab.ts';
import { until } from './until.ts';

// The agent, a TPM and the server, all of them real; only firmware's part is played. In this order: each
// test finds the machine as the one before left it.

const BOOT = ['boot', '--handover', 'print'];

let lab: RealLab;
let machine: HostMachine;
beforeAll(async () => {
  lab = await openRealLab();
  machine = lab.first;
});
afterAll(() => lab.close());

const codesOf = (run: AgentRun, step: string): (string | undefined)[] =>
  run.marks.filter((mark) => mark.step === step).map(({ values }) => values.code);
const stepsOf = (run: AgentRun): string[] => run.marks.map(({ step }) => step);
const valuesOf = (run: AgentRun, step: string) => run.marks.find((mark) => mark.step === step)?.values ?? {};

describe('a machine that nobody listed', () => {
  it('P14 waits without receiving anything, and boots in the same run once it is approved', async () => {
    machine.powerOn();
    const agent = machine.start(...BOOT);
    await until(() => agent.console().includes('step=enrol state=pending'));
    const [node = ''] = /n-[0-9a-f]{20}/.exec(agent.console()) ?? [];
    expect(agent.console()).not.toContain('step=verdict');
    await lab.admin('nodes', 'approve', node);
    const run = await agent.ended;
    expect(run.status, run.console).toBe(0);
    expect(valuesOf(run, 'verdict')).toMatchObject({
      identity: 'certified',
      admission: 'approved',
      state: 'self-reported',
    });
    const digest = valuesOf(run, 'manifest').digest ?? '';
    expect(machine.tpm.pcr(14)).toBe(toHex(sha256(concatBytes(new Uint8Array(32), fromHex(digest)))));
  });

  it('P1 gets no second grant from the running system, and keeps its PCR 14', async () => {
    const before = machine.tpm.pcr(14);
    const run = await machine.run('attest', '--purpose', 'boot');
    expect(run).toMatchObject({ status: 23, stopCode: 'evidence-refused' });
    expect(codesOf(run, 'reason')).toEqual(['pcr14-not-zero', 'floor-index-mismatch']);
    expect(machine.tpm.pcr(14)).toBe(before);
  });

  it('P2 proves what it runs, and its PCR 14 stays as it is', async () => {
    const before = machine.tpm.pcr(14);
    for (const purpose of ['reattest', 'health']) {
      const run = await machine.run('attest', '--purpose', purpose);
      expect(run.status, run.console).toBe(0);
    }
    expect(machine.tpm.pcr(14)).toBe(before);
  });

  it('boots again after a reset, without enrolling', async () => {
    machine.powerOn();
    const run = await machine.run(...BOOT);
    expect(run.status, run.console).toBe(0);
    expect(stepsOf(run)).not.toContain('enrol');
    expect(stepsOf(run).slice(-3)).toEqual(['grant-closed', 'floor', 'handover']);
  });

  it('P10 has a grant that is of no use with another key, D3 nor to anyone afterwards', async () => {
    machine.powerOn();
    const run = join(machine.folder, 'run');
    const authorization = join(run, 'attest/authorization');
    const stolen = join(machine.folder, 'stolen');
    const agent = machine.start(...BOOT);
    await until(() => existsSync(authorization) && readFileSync(authorization).length > 100);
    copyFileSync(authorization, stolen);
    const thief = makeCertificate(machine.folder);
    const byThief = fetchManifest(agent.console(), { grant: stolen, ...thief });
    const ended = await agent.ended;
    const own = { key: join(run, 'ephemeral.key'), certificate: join(run, 'ephemeral.pem') };
    expect(byThief).toContain('"grant-key-mismatch"');
    expect(ended.status, ended.console).toBe(0);
    expect(fetchManifest(ended.console, { grant: stolen, ...own })).toContain('"grant-closed"');
  });

  it('P3 gets nothing after stage-0 was left by another way', async () => {
    machine.powerOn();
    await machine.run('poison');
    const run = await machine.run(...BOOT);
    expect(codesOf(run, 'reason')).toEqual(['pcr14-not-zero']);
    expect(machine.tpm.pcr(14)).toBe(POISONED);
  });

  it('P12 is refused when what it booted is not a listed stage-0', async () => {
    machine.powerOn();
    machine.tpm.extend(11, 'a'.repeat(64));
    const run = await machine.run(...BOOT);
    expect(run).toMatchObject({ status: 23, stopCode: 'evidence-refused' });
    expect(codesOf(run, 'reason')).toEqual(['stage0-not-listed']);
    expect(run.console).toContain('PCR 11');
    expect(machine.tpm.pcr(14)).toBe(POISONED);
  });

  it('sends the log that firmware left, and shows what the server says of it', async () => {
    machine.powerOn();
    writeFileSync(machine.eventLog, 'no TCG log');
    const run = await machine.run(...BOOT);
    writeFileSync(machine.eventLog, '');
    expect(valuesOf(run, 'evidence')['event-log-bytes']).toBe('10');
    expect(codesOf(run, 'reason')).toEqual(['event-log-malformed']);
  });

  it('asks for a verdict alone, and poisons PCR 14 when it was still zero', async () => {
    machine.powerOn();
    const run = await machine.run('attest', '--purpose', 'boot');
    expect(run.status, run.console).toBe(0);
    expect(stepsOf(run).slice(-2)).toEqual(['grant-closed', 'poison']);
  });

  it('gets nothing once it is revoked', async () => {
    const nodes = JSON.parse(await lab.admin('-o', 'json', 'nodes', 'list')) as
      | { id: string }[]
      | { nodes: { id: string }[] };
    const [node] = Array.isArray(nodes) ? nodes : nodes.nodes;
    await lab.admin('nodes', 'revoke', node?.id ?? '');
    machine.powerOn();
    const run = await machine.run(...BOOT);
    expect(run).toMatchObject({ status: 23, stopCode: 'node-revoked' });
    expect(machine.tpm.pcr(14)).toBe(POISONED);
  });
});

/** Any artifact will do: who asks is looked at before what for. */
function fetchManifest(console: string, as: { grant: string; key: string; certificate: string }): string {
  const [server = ''] = /https:\/\/127\.0\.0\.1:\d+/.exec(console) ?? [];
  const trust = [
    '--cacert',
    join(machine.folder, 'etc/server-ca.pem'),
    '--cert',
    as.certificate,
    '--key',
    as.key,
  ];
  const url = `${server}/v1/artifacts/${'0'.repeat(64)}`;
  return execFileSync('curl', ['-sS', ...trust, '--header', `@${as.grant}`, url], { encoding: 'utf8' });
}

function makeCertificate(folder: string): { key: string; certificate: string } {
  const [key, certificate] = [join(folder, 'thief.key'), join(folder, 'thief.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=thief'];
  const files = ['-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', '-config', '/dev/null', '-batch', ...curve, ...files], {
    stdio: 'pipe',
  });
  return { key, certificate };
}

describe('a machine that is turned away', () => {
  it('stops when an operator rejects it, and is told so at its next boot', async () => {
    const stranger = await lab.createMachine('stranger');
    stranger.powerOn();
    const agent = stranger.start(...BOOT);
    await until(() => agent.console().includes('step=enrol state=pending'));
    await lab.admin('nodes', 'reject', /n-[0-9a-f]{20}/.exec(agent.console())?.[0] ?? '');
    expect(await agent.ended).toMatchObject({ status: 20, stopCode: 'enrolment-rejected' });
    stranger.powerOn();
    expect(await stranger.run(...BOOT)).toMatchObject({ status: 23, stopCode: 'node-rejected' });
    expect(stranger.tpm.pcr(14)).toBe(POISONED);
  });
});

describe('a machine whose EK was imported', () => {
  it('enrols and boots with no hands', async () => {
    const other = await lab.createMachine('listed');
    other.powerOn();
    const { stdout } = await other.run('fingerprint');
    await lab.importEk(stdout);
    const run = await other.run(...BOOT);
    expect(run.status, run.console).toBe(0);
    expect(valuesOf(run, 'enrol')).toMatchObject({ state: 'enrolled', ek: stdout.trim() });
    expect(valuesOf(run, 'verdict')).toMatchObject({ admission: 'listed' });
  });
});

describe('a machine with a token', () => {
  let holder: HostMachine;
  const createToken = async () => {
    const made = JSON.parse(await lab.admin('-o', 'json', 'tokens', 'create', '--channel', 'lab'));
    return (made as { token: string }).token;
  };
  const nodeOf = async (ek: string) => {
    const nodes = JSON.parse(await lab.admin('-o', 'json', 'nodes', 'list')) as {
      id: string;
      ekFingerprints: string[];
    }[];
    return nodes.filter(({ ekFingerprints }) => ekFingerprints.includes(ek));
  };

  it('enrols and boots with no hands, admitted by the token and by nothing else', async () => {
    holder = await lab.createMachine('holder');
    writeFileSync(join(holder.folder, 'token'), await createToken());
    holder.powerOn();
    const run = await holder.run(...BOOT);
    expect(run.status, run.console).toBe(0);
    expect(valuesOf(run, 'verdict')).toMatchObject({ identity: 'certified', admission: 'token' });
    expect(existsSync(join(holder.folder, 'token'))).toBe(false);
  });

  it('P9 is one node by both EKs of its TPM', async () => {
    const { stdout } = await holder.run('fingerprint', '--all');
    const [first = '', second = ''] = stdout.trim().split('\n');
    const [node] = await nodeOf(first);
    expect(node?.ekFingerprints.toSorted()).toEqual([first, second].toSorted());
    expect(await nodeOf(second)).toEqual([node]);
  });

  it('gets a new attestation key when its operator asks for one, and keeps it at every boot', async () => {
    const { stdout } = await holder.run('fingerprint');
    const [node] = await nodeOf(stdout.trim());
    await lab.admin('nodes', 'rotate-ak', node?.id ?? '');
    holder.powerOn();
    const rotated = await holder.run(...BOOT);
    expect(rotated.status, rotated.console).toBe(0);
    expect(stepsOf(rotated).filter((step) => step === 'ak-rotated' || step === 'enrol')).toEqual([
      ...['ak-rotated', 'enrol'],
    ]);
    holder.powerOn();
    const later = await holder.run(...BOOT);
    expect(later.status, later.console).toBe(0);
    expect(stepsOf(later)).toContain('ak-rotated');
    expect(stepsOf(later)).not.toContain('enrol');
    expect(valuesOf(later, 'ak-rotated')).toEqual(valuesOf(rotated, 'ak-rotated'));
  });

  it('whose token another machine has used waits for an operator', async () => {
    const token = await createToken();
    const first = await lab.createMachine('first-holder');
    const second = await lab.createMachine('second-holder');
    for (const machine of [first, second]) {
      writeFileSync(join(machine.folder, 'token'), token);
      machine.powerOn();
    }
    expect((await first.run(...BOOT)).status).toBe(0);
    const agent = second.start(...BOOT);
    await until(() => agent.console().includes('step=enrol state=pending'));
    agent.signal('SIGTERM');
    await agent.ended;
    expect(agent.console()).toContain('step=token-refused code=token-refused');
  });
});
