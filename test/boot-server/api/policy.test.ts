import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asciiBytes, concatBytes, EMPTY } from '../../../src/core/bytes.ts';
import { writeEvent } from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { logOfStage0 } from '../../../src/fleet-sim/firmware/stage0-log.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { authenticodeSha256 } from '../../../src/signing/efi/authenticode.ts';
import { parsePe } from '../../../src/signing/efi/pe.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

let world: PublishedServer;
let node: VirtualNode;

/** Without Secure Boot the stub lets firmware start the inner kernel, which measures it into PCR 4. */
function logWithoutSecureBoot(): Uint8Array {
  const { image } = world.stage0;
  const kernel = parsePe(image).sections.find(({ name }) => name === '.linux');
  return logOfStage0(image, { startedByFirmware: authenticodeSha256(kernel?.data ?? EMPTY) });
}

async function attestWith(eventLog: Uint8Array) {
  const before = node.eventLog;
  node.eventLog = eventLog;
  const answer = await node.attest();
  node.eventLog = before;
  return answer;
}

describe('by default', () => {
  beforeAll(async () => {
    world = await PublishedServer.publish();
    node = await world.enrolledNode();
  });
  afterAll(() => world.close());

  test('firmware must have verified stage-0', async () => {
    expect(reasonsOf(await attestWith(logWithoutSecureBoot()))).toContain('secure-boot-required');
    expect((await node.attest()).status, 'its twin').toBe(200);
  });

  test('E30 a TPM 1.2 quote is not read as anything', async () => {
    const evidence = await node.evidence(await node.challenge(), 'boot');
    const quoteInfo = concatBytes(Buffer.from('01010000', 'hex'), asciiBytes('QUOT'), Buffer.alloc(40, 7));
    const answer = await node.submit({ ...evidence, attest: Buffer.from(quoteInfo).toString('base64') });
    expect(answer.status).toBe(403);
    expect(reasonsOf(answer)).toEqual(['attest-malformed']);
  });

  test('Q58 a quote over the PCRs of firmware only is refused', async () => {
    const onlyFirmware = (pcrs: Map<number, Uint8Array>) => {
      for (const pcr of [...pcrs.keys()]) if (pcr > 7) pcrs.delete(pcr);
    };
    const answer = await node.attest({ pcrs: onlyFirmware });
    expect(answer.status).toBe(403);
    expect(reasonsOf(answer)).toEqual(['selection-incomplete']);
  });

  test.each([
    [4, 'stage0-not-listed'],
    [11, 'stage0-not-listed'],
    [12, 'pcr-mismatch'],
    [13, 'pcr-mismatch'],
  ])(
    'Q58 P12 what an attacker starts or hands in beside stage-0, in PCR %d, is refused with its honest log',
    async (pcr, code) => {
      const type = pcr === 4 ? EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION : 0x0d;
      const event = writeEvent({ pcr, type, data: asciiBytes('initrd of the attacker') });
      const answer = await attestWith(concatBytes(node.eventLog, event));
      expect(answer.status).toBe(403);
      expect(reasonsOf(answer)).toEqual([code]);
      expect((await node.attest()).status, 'its twin').toBe(200);
    },
  );

  test('a quote over fewer PCRs than the challenge asked for is refused', async () => {
    const answer = await node.attest({ pcrs: (pcrs) => pcrs.delete(11) });
    expect(answer.status).toBe(403);
    expect(reasonsOf(answer)).toEqual(['selection-incomplete']);
  });

  test('E26 counters that go back are held for an operator, and no grant comes of it', async () => {
    node.clockInfo.resetCount += 5;
    expect((await node.attest()).status).toBe(200);
    node.clockInfo.resetCount -= 1;
    const answer = await node.attest();
    node.clockInfo.resetCount += 1;
    expect([answer.status, answer.json.code, answer.json.verdict]).toEqual([403, 'evidence-held', 'hold']);
    expect(answer.json.grant).toBeUndefined();
    expect((await world.verdictsOf(node))[0]?.verdict).toBe('hold');
    expect((await node.attest()).status, 'its twin').toBe(200);
  });

  test('a hold ends when an operator lifts it, and then holds again', async () => {
    node.clockInfo.resetCount -= 1;
    expect((await node.attest()).status).toBe(403);
    await world.decide('lift-hold', node);
    expect((await node.attest()).status).toBe(200);
    node.clockInfo.resetCount -= 1;
    expect((await node.attest()).json.code).toBe('evidence-held');
    node.clockInfo.resetCount += 2;
  });
});

describe('when the operator asks for less', () => {
  beforeAll(async () => {
    world = await PublishedServer.publish(['policy: { eventLog: optional, requireSecureBoot: false }']);
    node = await world.enrolledNode();
  });
  afterAll(() => world.close());

  test('a boot without Secure Boot is accepted, and says so', async () => {
    const { json } = await attestWith(logWithoutSecureBoot());
    expect(json.verdict).toBe('accept');
    expect(json.notes.map(({ code }: { code: string }) => code)).toContain('secure-boot-off');
    await world.decide('forget-baseline', node);
  });

  test('a boot without an event log is accepted as self-reported, never as measured', async () => {
    const without = await node.attest({ eventLog: undefined });
    expect(without.json).toMatchObject({ verdict: 'accept', facts: { state: 'self-reported' } });
    expect((await node.attest()).json.facts.state).toBe('measured');
  });

  test('stage-0 must be a listed one all the same', async () => {
    const answer = await node.attest({
      eventLog: undefined,
      pcrs: (pcrs) => pcrs.set(11, Buffer.alloc(32, 1)),
    });
    expect(reasonsOf(answer)).toEqual(['stage0-not-listed']);
  });
});
