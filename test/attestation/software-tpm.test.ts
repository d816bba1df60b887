import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ekFingerprint } from '../../src/attestation/endorsement/ek-certificate.ts';
import { verifyAkTemplate } from '../../src/attestation/keys/ak.ts';
import { loadAttestationKey } from '../../src/attestation/keys/attestation-key.ts';
import { verifyEkPublic } from '../../src/attestation/keys/ek-public.ts';
import { verifyEvidence } from '../../src/attestation/verify.ts';
import { concatBytes, fromHex, sha256, toHex } from '../../src/core/bytes.ts';
import { systemRandom } from '../../src/core/random.ts';
import { makeCredential } from '../../src/tpm/credential.ts';
import { computeName } from '../../src/tpm/name.ts';
import { parseTpm2bPublic } from '../../src/tpm/public-area.ts';
import { toSpki } from '../../src/tpm/public-key.ts';
import { hasSoftwareTpm, type SoftwareTpm, startSoftwareTpm } from '../tpm/software-tpm.ts';
import { codesOf } from './evidence-fixture.ts';

const AK_ATTRIBUTES = 'restricted|sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda';

describe.skipIf(!hasSoftwareTpm())('a real TPM 2.0 (swtpm)', () => {
  let tpm: SoftwareTpm;
  beforeAll(async () => {
    tpm = await startSoftwareTpm();
    tpm.run(
      'tpm2_createprimary',
      '-Q',
      '-C',
      'e',
      '-G',
      'ecc256:ecdsa-sha256:null',
      '-a',
      AK_ATTRIBUTES,
      '-c',
      'ak.ctx',
    );
    flush();
    tpm.run('tpm2_readpublic', '-Q', '-c', 'ak.ctx', '-o', 'ak.pub', '-n', 'ak.name');
    flush();
  });
  afterAll(() => tpm?.stop());

  function flush(): void {
    tpm.run('tpm2_flushcontext', '-t');
  }
  const akPublic = () => parseTpm2bPublic(tpm.read('ak.pub'));

  it('computes the Name that the TPM computes', () => {
    expect(toHex(computeName(akPublic()))).toBe(toHex(tpm.read('ak.name')));
    expect(() => verifyAkTemplate(akPublic())).not.toThrow();
  });

  it.each(['rsa', 'ecc'])('activates a credential that we made for its %s EK', (algorithm) => {
    tpm.run('tpm2_createek', '-Q', '-G', algorithm, '-c', 'ek.ctx', '-u', 'ek.pub');
    flush();
    const ekPublic = parseTpm2bPublic(tpm.read('ek.pub'));
    verifyEkPublic(ekPublic);
    expect(ekFingerprint(ekPublic)).toBe(toHex(sha256(toSpki(ekPublic))));
    const secret = systemRandom(32);
    const { credentialBlob, encryptedSecret } = makeCredential({
      ekPublic,
      objectName: computeName(akPublic()),
      credential: secret,
      random: systemRandom,
    });
    tpm.write('blob', concatBytes(fromHex('badcc0de00000001'), credentialBlob, encryptedSecret));
    tpm.run('tpm2_startauthsession', '-Q', '--policy-session', '-S', 'session.ctx');
    tpm.run('tpm2_policysecret', '-Q', '-S', 'session.ctx', '-c', 'e');
    const activate = [
      '-c',
      'ak.ctx',
      '-C',
      'ek.ctx',
      '-i',
      'blob',
      '-o',
      'secret',
      '-P',
      'session:session.ctx',
    ];
    tpm.run('tpm2_activatecredential', '-Q', ...activate);
    flush();
    tpm.run('tpm2_flushcontext', 'session.ctx');
    expect(toHex(tpm.read('secret'))).toBe(toHex(secret));
  });

  it('accepts its quote, and refuses the same quote when one PCR moved on', () => {
    const extraData = sha256(Buffer.from('a challenge'));
    const quote = () => {
      const selection = ['-l', 'sha256:0,7,14'];
      const outputs = ['-m', 'quote.att', '-s', 'quote.sig'];
      tpm.run('tpm2_quote', '-Q', '-c', 'ak.ctx', ...selection, '-q', toHex(extraData), ...outputs);
      flush();
      return { attest: tpm.read('quote.att'), signature: tpm.read('quote.sig') };
    };
    const zeros = new Map([0, 7, 14].map((pcr) => [pcr, new Uint8Array(32)]));
    const verdictOn = (untrusted: { attest: Uint8Array; signature: Uint8Array }) =>
      verifyEvidence({
        ak: loadAttestationKey(akPublic().raw),
        expectedExtraData: extraData,
        untrustedEvidence: { ...untrusted, pcrs: new Map([['sha256', zeros]]) },
        policy: { bank: 'sha256', pcrs: [0, 7], eventLog: 'optional', referenceValues: [] },
        purpose: 'boot',
      });
    const before = verdictOn(quote());
    expect(before).toMatchObject({ verdict: 'accept', quote: { clockIsSafe: true } });
    tpm.run('tpm2_pcrextend', `14:sha256=${'ab'.repeat(32)}`);
    expect(codesOf(verdictOn(quote()))).toEqual(['pcr-digest-mismatch']);
  });

  it('P7 accepts its certified NV record and nothing else', () => {
    const extraData = sha256(Buffer.from('a challenge'));
    const record = systemRandom(64);
    tpm.write('record', record);
    tpm.run(
      'tpm2_nvdefine',
      '-Q',
      '-C',
      'o',
      '0x1500020',
      '-s',
      '64',
      '-g',
      'sha256',
      '-a',
      'ownerwrite|authread|ownerread|no_da',
    );
    tpm.run('tpm2_nvwrite', '-Q', '-C', 'o', '-i', 'record', '0x1500020');
    const nonce = toHex(extraData);
    tpm.run(
      'tpm2_nvcertify',
      '-C',
      'ak.ctx',
      '-c',
      '0x1500020',
      '-g',
      'sha256',
      '-f',
      'tss',
      '-s',
      'ecdsa',
      '-o',
      'nv.sig',
      '--attestation',
      'nv.att',
      '--size',
      '64',
      '-q',
      nonce,
      '0x1500020',
    );
    flush();
    tpm.run(
      'tpm2_quote',
      '-Q',
      '-c',
      'ak.ctx',
      '-l',
      'sha256:0',
      '-q',
      nonce,
      '-m',
      'quote.att',
      '-s',
      'quote.sig',
    );
    flush();
    const readPublic = tpm.run('tpm2_nvreadpublic', '0x1500020');
    const name = /name: ([0-9a-f]+)/.exec(readPublic)?.[1] ?? '';
    const nvPublic = concatBytes(
      fromHex('01500020000b'),
      fromHex('22060004'),
      fromHex('0000'),
      fromHex('0040'),
    );
    const attributes = Number(/value: (0x[0-9a-fA-F]+)/.exec(readPublic.split('attributes:')[1] ?? '')?.[1]);
    new DataView(nvPublic.buffer, nvPublic.byteOffset).setUint32(6, attributes);
    expect(toHex(concatBytes(fromHex('000b'), sha256(nvPublic)))).toBe(name);
    const floor = { nvPublic, attest: tpm.read('nv.att'), signature: tpm.read('nv.sig'), contents: record };
    const verdictOn = (changes: Partial<typeof floor>) =>
      verifyEvidence({
        ak: loadAttestationKey(akPublic().raw),
        expectedExtraData: extraData,
        untrustedEvidence: {
          attest: tpm.read('quote.att'),
          signature: tpm.read('quote.sig'),
          pcrs: new Map([['sha256', new Map([[0, new Uint8Array(32)]])]]),
          floor: { ...floor, ...changes },
        },
        policy: { bank: 'sha256', pcrs: [0], eventLog: 'optional', referenceValues: [] },
      });
    expect(verdictOn({})).toMatchObject({ verdict: 'accept', reasons: [] });
    expect(codesOf(verdictOn({ contents: systemRandom(64) }))).toEqual(['floor-contents-mismatch']);
    expect(codesOf(verdictOn({ signature: tpm.read('quote.sig') }))).toEqual(['floor-signature-invalid']);
  });
});
