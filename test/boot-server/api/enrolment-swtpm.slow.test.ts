import { createPublicKey, webcrypto } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { concatBytes, fromHex, toHex } from '../../../src/core/bytes.ts';
import { issueEk, KeyUsageFlags } from '../../../src/fleet-sim/chip/manufacturer.ts';
import type { SoftwareEk } from '../../../src/fleet-sim/chip/software-ek.ts';
import type { QuoteAnswer, QuoteRequest, VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { parseEventLog } from '../../../src/tpm/event-log.ts';
import { computeName } from '../../../src/tpm/name.ts';
import { parseTpm2bPublic } from '../../../src/tpm/public-area.ts';
import { toSpki } from '../../../src/tpm/public-key.ts';
import { hasSoftwareTpm, type SoftwareTpm, startSoftwareTpm } from '../../tpm/software-tpm.ts';
import { PublishedServer } from './published-server.ts';

const AK_ATTRIBUTES = 'restricted|sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda';
const HIGH = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|adminwithpolicy|restricted|decrypt';
const POLICY_B256 = 'ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0';
const POLICY_B384 =
  'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12';

/** How a TPM makes each; the low range is what tpm2_createek makes. */
const HIGH_RANGE = {
  'H-1': ['rsa2048:null:aes128cfb', 'sha256', POLICY_B256],
  'H-2': ['ecc256:null:aes128cfb', 'sha256', POLICY_B256],
  'H-3': ['ecc384:null:aes256cfb', 'sha384', POLICY_B384],
} as const;
const LOW_RANGE = { 'L-1': 'rsa', 'L-2': 'ecc' } as const;

describe.skipIf(!hasSoftwareTpm())('a real TPM 2.0 (swtpm) enrols', () => {
  let world: PublishedServer;
  let tpm: SoftwareTpm;
  beforeAll(async () => {
    world = await PublishedServer.publish();
    tpm = await startSoftwareTpm();
  });
  afterAll(async () => {
    tpm?.stop();
    await world?.close();
  });

  test('P9 with all five of its endorsement keys, is one node, and boots', { timeout: 60_000 }, async () => {
    const node = await createNode();
    await world.list(node);
    expect((await node.enrol()).json).toMatchObject({
      state: 'enrolled',
      facts: { identity: 'certified', admission: 'listed', state: 'measured' },
    });
    const { ekFingerprints, manufacturer } = (await world.operators(`/admin/v1/nodes/${node.id}`)).json;
    expect([ekFingerprints.length, manufacturer]).toEqual([5, 'id:00001014']);
    expect((await node.attest()).json).toMatchObject({ verdict: 'accept' });

    await world.decide('rotate-ak', node);
    expect((await node.begin()).json).toMatchObject({ code: 'ak-rotated', akGeneration: 2 });
    useAk(node, 'second');
    expect((await node.enrol()).json).toMatchObject({ state: 'enrolled', nodeId: node.id });
    expect((await node.attest()).json).toMatchObject({ verdict: 'accept' });
    useAk(node, 'first');
    expect((await node.askChallenge()).json.code).toBe('ak-rotated');
  });

  async function createNode(): Promise<VirtualNode> {
    makeAk('first', 'ecc256:ecdsa-sha256:null');
    makeAk('second', 'ecc256:ecdsa-sha256:null', new Uint8Array(32).fill(2));
    const [first, ...further] = await Promise.all([
      certify('L-1'),
      certify('L-2'),
      certify('H-1'),
      certify('H-2'),
      certify('H-3'),
    ]);
    const node = await world.createNode({ ek: first });
    node.furtherEks = further;
    useAk(node, 'first');
    const { hashes, events } = parseEventLog(node.eventLog);
    const sha256 = hashes.findIndex(({ name }) => name === 'sha256');
    for (const { pcr, digests } of events) {
      const digest = digests[sha256];
      if (digest !== undefined) tpm.run('tpm2_pcrextend', `${pcr}:sha256=${toHex(digest)}`);
    }
    return node;
  }

  function makeAk(name: string, algorithm: string, unique = new Uint8Array(0)): void {
    // tpm2-tools take a TPMS_ECC_POINT as it lies in memory: little-endian length and 128 bytes, for x and y.
    const point = Buffer.alloc(260);
    point.writeUInt16LE(unique.length, 0);
    point.set(unique, 2);
    tpm.write(`${name}.unique`, point);
    const template = ['-C', 'e', '-G', algorithm, '-a', AK_ATTRIBUTES, '-u', `${name}.unique`];
    tpm.run('tpm2_createprimary', '-Q', ...template, '-c', `${name}.ctx`);
    flush();
    tpm.run('tpm2_readpublic', '-Q', '-c', `${name}.ctx`, '-o', `${name}.pub`);
    flush();
  }

  /** The node's attestation key is in the TPM from here on, and so is whoever quotes. */
  function useAk(node: VirtualNode, name: string): void {
    node.ak = { ...node.ak, publicBytes: parseTpm2bPublic(tpm.read(`${name}.pub`)).raw };
    node.quote = async ({ extraData, pcrs }: QuoteRequest): Promise<QuoteAnswer> => {
      const selection = ['-l', `sha256:${[...pcrs.keys()].join(',')}`, '-q', toHex(extraData)];
      const outputs = ['-m', 'quote.att', '-s', 'quote.sig'];
      tpm.run('tpm2_quote', '-Q', '-c', `${name}.ctx`, ...selection, ...outputs);
      flush();
      return { attest: tpm.read('quote.att'), signature: tpm.read('quote.sig') };
    };
  }

  async function certify(template: keyof typeof HIGH_RANGE | keyof typeof LOW_RANGE): Promise<SoftwareEk> {
    const isLow = template === 'L-1' || template === 'L-2';
    if (isLow) makeLow(template);
    else makeHigh(template);
    const bytes = tpm.read(`${template}.pub`);
    const publicArea = parseTpm2bPublic(bytes);
    return {
      publicArea,
      public: bytes,
      certificate: await certificateOf(toSpki(publicArea)),
      open: ({ credentialBlob, encryptedSecret, name }) => {
        tpm.write('blob', concatBytes(fromHex('badcc0de00000001'), credentialBlob, encryptedSecret));
        const ak = ['first', 'second'].find(
          (candidate) => toHex(computeName(parseTpm2bPublic(tpm.read(`${candidate}.pub`)))) === toHex(name),
        );
        const session = isLow ? ['-P', 'session:session.ctx'] : [];
        if (isLow) {
          tpm.run('tpm2_startauthsession', '-Q', '--policy-session', '-S', 'session.ctx');
          tpm.run('tpm2_policysecret', '-Q', '-S', 'session.ctx', '-c', 'e');
        }
        const keys = ['-c', `${ak}.ctx`, '-C', `${template}.ctx`];
        tpm.run('tpm2_activatecredential', '-Q', ...keys, '-i', 'blob', '-o', 'secret', ...session);
        flush();
        if (isLow) tpm.run('tpm2_flushcontext', 'session.ctx');
        return tpm.read('secret');
      },
    };
  }

  function makeLow(template: keyof typeof LOW_RANGE): void {
    const outputs = ['-c', `${template}.ctx`, '-u', `${template}.pub`];
    tpm.run('tpm2_createek', '-Q', '-G', LOW_RANGE[template], ...outputs);
    flush();
  }

  function makeHigh(template: keyof typeof HIGH_RANGE): void {
    const [algorithm, nameAlg, policy] = HIGH_RANGE[template];
    tpm.write('policy', fromHex(policy));
    const shape = ['-C', 'e', '-G', algorithm, '-g', nameAlg, '-a', HIGH, '-L', 'policy'];
    tpm.run('tpm2_createprimary', '-Q', ...shape, '-c', `${template}.ctx`);
    flush();
    tpm.run('tpm2_readpublic', '-Q', '-c', `${template}.ctx`, '-o', `${template}.pub`);
    flush();
  }

  async function certificateOf(spki: Uint8Array): Promise<Uint8Array> {
    const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey({
      key: Buffer.from(spki),
      format: 'der',
      type: 'spki',
    });
    const isRsa = asymmetricKeyType === 'rsa';
    const namedCurve = asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'P-384' : 'P-256';
    const algorithm = isRsa ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } : { name: 'ECDSA', namedCurve };
    const key = await webcrypto.subtle.importKey('spki', Buffer.from(spki), algorithm, true, ['verify']);
    const keyUsage = isRsa ? KeyUsageFlags.keyEncipherment : KeyUsageFlags.keyAgreement;
    return issueEk(key, world.manufacturer, { keyUsage });
  }

  function flush(): void {
    tpm.run('tpm2_flushcontext', '-t');
  }
});
