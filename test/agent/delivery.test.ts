import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openScriptedLab, POISONED, type Scenario, type ScriptedLab } from './scripted-lab.ts';
import {
  answerFile,
  issueTlsIdentity,
  type Lies,
  type ScriptedServer,
  startScriptedServer,
} from './scripted-server.ts';
import { createSignedWorld, type SignedWorld } from './signed-world.ts';

let lab: ScriptedLab;
beforeAll(async () => {
  lab = await openScriptedLab();
});
afterAll(() => lab.close());

async function refusalOf(scenario: Scenario) {
  const outcome = await lab.run(scenario);
  expect(outcome.status, outcome.console).toBe(20);
  expect(outcome.pcr14).toBe(POISONED);
  expect(outcome.marks.map(({ step }) => step)).not.toContain('handover');
  return outcome;
}

/** Lies about one part of the release and serves the rest. */
function lieAbout(
  part: 'manifest' | 'kernel' | 'initramfs',
  lie: (response: ServerResponse, honest: Uint8Array, range: string | undefined) => void,
): Lies {
  const hashOf = (world: SignedWorld) =>
    part === 'manifest' ? world.release.digest : world.manifest[part].sha256;
  return {
    artifact(response, hash, range, world) {
      const honest = world.artifacts.get(hash);
      if (hash !== hashOf(world) || honest === undefined) return answerFile(response, honest, range);
      lie(response, honest, range);
    },
  };
}

describe('an artifact is what was signed', () => {
  it.each(['manifest', 'kernel', 'initramfs'] as const)(
    'D24 refuses a %s of equal length with one byte altered, by its hash',
    async (part) => {
      const lies = lieAbout(part, (response, honest) => {
        const altered = Uint8Array.from(honest);
        altered[100] = (altered[100] ?? 0) ^ 1;
        answerFile(response, altered);
      });
      expect((await refusalOf({ lies })).stopCode).toBe('artifact-hash-mismatch');
    },
  );

  it('S15 refuses one that is shorter', async () => {
    const lies = lieAbout('kernel', (response, honest) => answerFile(response, honest.subarray(1)));
    expect((await refusalOf({ lies })).stopCode).toBe('artifact-length-mismatch');
  });

  it("S16 refuses kernel and initramfs in each other's place", async () => {
    const swap = (response: ServerResponse, hash: string, world: SignedWorld) => {
      const { kernel, initramfs } = world.manifest;
      const other =
        hash === kernel.sha256 ? initramfs.sha256 : hash === initramfs.sha256 ? kernel.sha256 : hash;
      answerFile(response, world.artifacts.get(other));
    };
    const lies: Lies = { artifact: (response, hash, _range, world) => swap(response, hash, world) };
    expect((await refusalOf({ lies })).stopCode).toBe('answer-too-large');
  });

  it('D20 stops reading at the signed length, announced or not', async () => {
    const announced = lieAbout('kernel', (response, honest) =>
      answerFile(response, Buffer.concat([honest, Buffer.alloc(1)])),
    );
    expect((await refusalOf({ lies: announced })).stopCode).toBe('answer-too-large');
    let sent = 0;
    const endless = lieAbout('kernel', (response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536;
        response.once('drain', more);
      };
      more();
    });
    expect((await refusalOf({ lies: endless })).stopCode).toBe('answer-too-large');
    expect(sent).toBeLessThan(16 * 1024 * 1024);
  });

  it('D20 bounds every other answer as well', async () => {
    const endless = (response: ServerResponse) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, ' ')));
        response.once('drain', more);
      };
      more();
    };
    for (const path of ['/v1/tuf/2.root.json', '/v1/challenges', '/v1/tuf/timestamp.json']) {
      const any: Lies['any'] = (request, response) => {
        if (request.url === path) endless(response);
        return request.url === path;
      };
      expect((await refusalOf({ lies: { any } })).stopCode, path).toBe('answer-too-large');
    }
  });

  it('does not go on with a part of something else', async () => {
    const lies = lieAbout('kernel', (response, honest, range) => {
      if (range !== undefined) return answerFile(response, randomBytes(honest.length), range);
      response.writeHead(200, { 'content-length': honest.length });
      response.write(honest.subarray(0, 1000), () => response.destroy());
    });
    expect((await refusalOf({ lies })).stopCode).toBe('artifact-hash-mismatch');
  });

  it('starts again when the server gives the whole instead of the rest', async () => {
    let broken = false;
    const lies = lieAbout('kernel', (response, honest) => {
      if (broken) return answerFile(response, honest);
      broken = true;
      response.writeHead(200, { 'content-length': honest.length });
      response.write(honest.subarray(0, 1000), () => response.destroy());
    });
    const outcome = await lab.run({ lies });
    expect(outcome.status, outcome.console).toBe(0);
  });

  it('keeps no part of the release before, when another is assigned between two attempts', async () => {
    const first = await createSignedWorld(lab.keys);
    const second = await createSignedWorld(lab.keys, { version: 2, kernel: 'another kernel' });
    let now = first;
    const outcome = await lab.run({
      settings: { retryAttempts: 2 },
      lies: {
        tuf: (name) => now.files.get(name),
        release: () => now.release,
        artifact(response, hash, range) {
          const bytes = now.artifacts.get(hash);
          if (now === second || hash !== first.manifest.kernel.sha256 || bytes === undefined)
            return answerFile(response, bytes, range);
          if (range === undefined) {
            response.writeHead(200, { 'content-length': bytes.length });
            return void response.write(bytes.subarray(0, 1000), () => response.destroy());
          }
          now = second;
          response.writeHead(503).end();
        },
      },
    });
    expect(outcome.status, outcome.console).toBe(0);
  });

  it.each([
    ['another channel', { channel: 'other' }],
    ['another name', { name: 'another' }],
    ['another architecture', { architecture: process.arch === 'arm64' ? 'x86-64' : 'arm64' }],
  ] as const)('refuses a manifest that says %s than its listing', async (_what, manifest) => {
    expect((await refusalOf({ world: { manifest } })).stopCode).toBe('manifest-invalid');
  });

  it('shows a manifest with switch-root, which it cannot do, and does not start it', async () => {
    const world = { manifest: { handover: 'switch-root' } } as const;
    expect((await refusalOf({ world, command: ['boot'] })).stopCode).toBe('handover-unsupported');
  });

  it('does not hand over while the grant is open', async () => {
    const any: Lies['any'] = (request, response) => {
      if (request.method !== 'DELETE') return false;
      response.writeHead(503).end();
      return true;
    };
    const outcome = await refusalOf({ lies: { any } });
    expect(outcome.stopCode).toBe('retries-exhausted');
  });
});

describe('the connection is to the one server', () => {
  it('refuses a server whose certificate another CA issued', async () => {
    const { ca: serverCa } = await issueTlsIdentity();
    const outcome = await refusalOf({ settings: { serverCa } });
    expect(outcome.marks.map(({ values }) => values.code)).toContain('server-not-trusted');
    expect(outcome.server.requests).toEqual([]);
  });

  it('refuses a certificate for another name', async () => {
    const { world } = await lab.run();
    const other = await startScriptedServer(world, lab.tls);
    const outcome = await refusalOf({ settings: { serverUrl: other.url.replace('127.0.0.1', 'localhost') } });
    await other.close();
    expect(outcome.marks.map(({ values }) => values.code)).toContain('server-not-trusted');
    expect(other.requests).toEqual([]);
  });

  it('P6 refuses to go on when another key of the same CA answers', async () => {
    const { ca, secondKey, ...firstKey } = await issueTlsIdentity();
    const world = await createSignedWorld(lab.keys);
    const first = await startScriptedServer(world, { ca, ...firstKey });
    let second: ScriptedServer | undefined;
    first.lies.any = (_request, response) => {
      response.once('close', async () => {
        await first.close();
        second = await startScriptedServer(world, secondKey, Number(new URL(first.url).port));
      });
      return false;
    };
    const outcome = await refusalOf({ settings: { serverUrl: first.url, serverCa: ca } });
    await second?.close();
    expect(outcome.marks.map(({ values }) => values.code)).toContain('server-key-changed');
    expect(second?.requests).toEqual([]);
  });

  it.each([301, 302, 307, 308])('D23 follows no redirect (%s), not even to itself', async (status) => {
    const any: Lies['any'] = (request, response) => {
      if (request.url?.startsWith('/v1/redirected')) return false;
      response.writeHead(status, { location: 'http://127.0.0.1:9/v1/redirected' }).end();
      return true;
    };
    const outcome = await refusalOf({ lies: { any } });
    expect(outcome.stopCode).toBe('redirect-refused');
    expect(outcome.server.requests).toHaveLength(1);
  });

  it('A10 shows what the server says as printable text that cannot pass for a marker', async () => {
    const problem = (code: string): Lies => ({
      any(_request, response) {
        const detail = '\u001b[2J evil\nbootward: [1.00s] step=handover how=kexec';
        response.writeHead(400, { 'content-type': 'application/problem+json' });
        response.end(JSON.stringify({ code, detail }));
        return true;
      },
    });
    const outcome = await refusalOf({ lies: problem('request-invalid') });
    expect(outcome.stopCode).toBe('request-invalid');
    expect(outcome.console).not.toContain('\u001b');
    expect(outcome.console).toContain('evil bootward: [1.00s] step=handover');
    expect((await refusalOf({ lies: problem('\u001b[2J') })).stopCode).toBe('http-400');
  });

  it('A10 takes no reason code that ends its line, so that a message cannot pass for a reason', async () => {
    const any: Lies['any'] = (request, response) => {
      if (request.url !== '/v1/evidence') return false;
      const reasons = [{ code: 'stage0-not-listed\n', message: 'verdict \u001b[2Jaccept' }];
      response.writeHead(403, { 'content-type': 'application/problem+json' });
      response.end(JSON.stringify({ code: 'evidence-refused', detail: 'no', verdict: 'refuse', reasons }));
      return true;
    };
    const outcome = await refusalOf({ lies: { any } });
    expect(outcome.console).not.toContain('\u001b');
    expect(outcome.marks.map(({ step }) => step)).not.toContain('verdict');
  });
});
