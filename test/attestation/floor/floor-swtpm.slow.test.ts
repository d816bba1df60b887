import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UntrustedFloorCertificate } from '../../../src/attestation/floor/floor-certification.ts';
import {
  FLOOR_POLICY_REF,
  type FloorIndexForm,
  floorApprovalMessage,
  floorIndexPublic,
} from '../../../src/attestation/floor/floor-index.ts';
import { floorKeyNameOf, parseFloorKey } from '../../../src/attestation/floor/floor-key.ts';
import { pinFloorIndex } from '../../../src/attestation/floor/floor-pinning.ts';
import { encodeFloorRecord } from '../../../src/attestation/floor/floor-record.ts';
import { loadAttestationKey } from '../../../src/attestation/keys/attestation-key.ts';
import { verifyEvidence } from '../../../src/attestation/verify.ts';
import { EMPTY, sha256, toBase64, toHex } from '../../../src/core/bytes.ts';
import { systemRandom } from '../../../src/core/random.ts';
import { SHA256 } from '../../../src/tpm/algorithms.ts';
import { computeName } from '../../../src/tpm/name.ts';
import { parseTpmsNvPublic } from '../../../src/tpm/nv-public.ts';
import { policyAuthorizeDigest } from '../../../src/tpm/policy-digest.ts';
import { FloorTpm, PREDICTED } from '../../tpm/floor-tpm.ts';
import { hasSoftwareTpm } from '../../tpm/software-tpm.ts';
import { createFloorKey, RECORD, VERSIONS } from './floor-fixture.ts';

const KEY = createFloorKey();
const KEY_NAME = floorKeyNameOf(parseFloorKey(KEY.floorKey));
const APPROVAL = KEY.sign(floorApprovalMessage(PREDICTED));
const AUTH_POLICY = policyAuthorizeDigest(SHA256, { keyName: KEY_NAME, policyRef: FLOOR_POLICY_REF });
const RELEASE = sha256(Buffer.from('a release'));
const BYTES = encodeFloorRecord(RECORD);
const RAISED = encodeFloorRecord({ ...RECORD, snapshot: RECORD.snapshot + 1 });
const nameOf = (form: FloorIndexForm | 'unwritten') =>
  toHex(computeName(parseTpmsNvPublic(floorIndexPublic(KEY_NAME, form))));

/** TPM_RC (Part 2, section 6.6.3), as tpm2-tools print them. */
const RC = {
  /** TPM2_PolicyAuthorize: the session's PCRs are not those that were approved (TPM_RC_VALUE, parameter 1). */
  pcrsDiffer: /\(0x1C4\)/,
  /** TPM_RC_RC.pcrsDiffer: the session is not what authPolicy wants. */
  policyFail: /\(0x99D\)/,
  pcrChanged: /\(0x128\)/,
  nvLocked: /\(0x148\)/,
  nvAuthorization: /\(0x149\)/,
  nvUninitialized: /\(0x14A\)/,
  signature: /\(0x2DB\)/,
};

describe.skipIf(!hasSoftwareTpm())('the floor in a real TPM (swtpm)', { timeout: 60_000 }, () => {
  let machine: FloorTpm;

  beforeEach(async () => {
    machine = await FloorTpm.start();
    expect(machine.loadFloorKey(pemOf(KEY.publicKey))).toBe(toHex(KEY_NAME));
    machine.define(AUTH_POLICY);
  });
  afterEach(() => machine?.stop());

  function pemOf(key: typeof KEY.publicKey): string {
    return key.export({ type: 'spki', format: 'pem' }).toString();
  }

  /** What the server says to this machine's evidence, right now. */
  function codesOf(purpose: 'boot' | 'health', show: 'floor' | 'no floor' = 'floor'): string[] {
    const extraData = systemRandom(32);
    const untrusted: UntrustedFloorCertificate | undefined =
      show === 'floor' ? machine.certify(extraData) : undefined;
    const form = purpose === 'boot' ? 'unlocked' : 'locked';
    const floor = untrusted && pinFloorIndex(untrusted, { floorKeys: [KEY.floorKey], form });
    const quote = machine.quote(extraData);
    const { reasons } = verifyEvidence({
      ak: loadAttestationKey(machine.akPublic),
      expectedExtraData: extraData,
      untrustedEvidence: { ...quote, ...(floor && { floor }) },
      policy: {
        bank: 'sha256',
        pcrs: [4, 11, 12, 13, 14],
        eventLog: 'optional',
        referenceValues: [],
        floor: { required: true, channelHash: RECORD.channelHash, lowest: VERSIONS },
      },
      purpose,
      ...(purpose === 'health' && { session: sessionNow() }),
    });
    return reasons.map(({ code }) => code);
  }

  /** The power cycle that the TPM counts now. */
  function sessionNow() {
    const time = machine.tpm.run('tpm2_readclock');
    const count = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(time)?.[1]);
    return { releaseDigest: RELEASE, resetCount: count('reset_count'), restartCount: count('restart_count') };
  }

  it('P8 is defined, written, raised, locked and certified under the Names that we predict', () => {
    expect(machine.name()).toBe(nameOf('unwritten'));
    machine.write(BYTES, APPROVAL);
    expect(machine.name()).toBe(nameOf('unlocked'));
    expect(codesOf('boot')).toEqual([]);
    machine.write(RAISED, APPROVAL);
    expect(codesOf('boot')).toEqual([]);
    machine.lock(APPROVAL);
    expect(machine.name()).toBe(nameOf('locked'));
    expect(codesOf('boot')).toEqual(['floor-index-mismatch']);
    machine.extend(14, RELEASE);
    expect(codesOf('health')).toEqual([]);
  });

  it('R1 survives a power cycle, unlocked again, and shows when it is lower than before', () => {
    machine.write(BYTES, APPROVAL);
    machine.lock(APPROVAL);
    machine.powerCycle();
    expect(machine.name()).toBe(nameOf('unlocked'));
    expect(codesOf('boot')).toEqual([]);
    machine.write(encodeFloorRecord({ ...RECORD, snapshot: RECORD.snapshot - 1 }), APPROVAL);
    expect(codesOf('boot')).toEqual(['floor-went-back']);
  });

  it('P8 is not written by root in the running system, nor with a session from before', () => {
    machine.write(BYTES, APPROVAL);
    expect(() => machine.writeAfter(RAISED, APPROVAL, () => machine.extend(14, RELEASE))).toThrow(
      RC.pcrChanged,
    );
    expect(() => machine.write(RAISED, APPROVAL)).toThrow(RC.pcrsDiffer);
    expect(() => machine.lock(APPROVAL)).toThrow(RC.pcrsDiffer);
    expect(codesOf('boot')).toContain('pcr14-not-zero');
  });

  it('P8 is not written by another system that firmware started', () => {
    machine.write(BYTES, APPROVAL);
    machine.powerCycle({ 4: sha256(Buffer.from('another loader')), 11: sha256(Buffer.from('its sections')) });
    expect(() => machine.write(RAISED, APPROVAL)).toThrow(RC.pcrsDiffer);
  });

  it('P8 is not written by a stage-0 with other sections', () => {
    machine.write(BYTES, APPROVAL);
    machine.powerCycle({ 4: sha256(Buffer.from('stage-0')), 11: sha256(Buffer.from('other sections')) });
    expect(() => machine.write(RAISED, APPROVAL)).toThrow(RC.pcrsDiffer);
  });

  it.each([
    ['parameters', 12],
    ['extensions', 13],
  ])('P8 is not written by an approved stage-0 that was given %s (PCR %i)', (_what, pcr) => {
    machine.write(BYTES, APPROVAL);
    machine.powerCycle();
    machine.extend(pcr, sha256(Buffer.from('init=/bin/sh')));
    expect(() => machine.write(RAISED, APPROVAL)).toThrow(RC.pcrsDiffer);
  });

  it('P8 is not written with the approval of another key', () => {
    const other = createFloorKey();
    const approval = other.sign(floorApprovalMessage(PREDICTED));
    expect(() => machine.write(BYTES, approval), 'our key did not sign it').toThrow(RC.signature);
    machine.loadFloorKey(pemOf(other.publicKey));
    expect(() => machine.write(BYTES, approval), 'it is not the key of the policy').toThrow(RC.policyFail);
    expect(machine.name()).toBe(nameOf('unwritten'));
  });

  it('P8 is neither written nor locked by the owner', () => {
    machine.write(BYTES, APPROVAL);
    expect(() => machine.ownerWrite(RAISED)).toThrow(RC.nvAuthorization);
    expect(() => machine.ownerLock()).toThrow(RC.nvAuthorization);
    expect(codesOf('boot')).toEqual([]);
  });

  it('P8 is not written once it is locked, not even by stage-0', () => {
    machine.write(BYTES, APPROVAL);
    machine.lock(APPROVAL);
    expect(() => machine.write(RAISED, APPROVAL)).toThrow(RC.nvLocked);
  });

  it('P7 P8 deleted and defined anew it cannot be certified: the node shows none, and is held', () => {
    machine.write(BYTES, APPROVAL);
    machine.lock(APPROVAL);
    machine.extend(14, RELEASE);
    machine.undefine();
    machine.define(AUTH_POLICY);
    expect(() => machine.write(RAISED, APPROVAL)).toThrow(RC.pcrsDiffer);
    expect(() => machine.certify(systemRandom(32))).toThrow(RC.nvUninitialized);
    expect(codesOf('health', 'no floor')).toEqual(['floor-missing']);
    machine.powerCycle();
    expect(codesOf('boot', 'no floor')).toEqual(['floor-missing']);
  });

  it('P8 deleted and defined so that the owner writes it, it has another Name', () => {
    machine.undefine();
    machine.define(EMPTY, 'ownerwrite|ownerread|authread|no_da|write_stclear');
    machine.ownerWrite(RAISED);
    expect(codesOf('boot')).toEqual(['floor-index-mismatch']);
  });

  it('P8 is missing after the TPM was cleared', () => {
    machine.write(BYTES, APPROVAL);
    machine.clear();
    expect(() => machine.name()).toThrow(/0x18B|handle/);
    expect(codesOf('boot', 'no floor')).toEqual(['floor-missing']);
  });

  it('has the Name that the TPM gives it also under a key whose coordinates begin with zero', () => {
    for (const coordinate of ['x', 'y'] as const) {
      const key = keyWithLeadingZero(coordinate);
      const spki = toBase64(key.export({ type: 'spki', format: 'der' }));
      expect(machine.loadFloorKey(pemOf(key))).toBe(toHex(floorKeyNameOf(parseFloorKey(spki))));
    }
  });

  function keyWithLeadingZero(coordinate: 'x' | 'y'): typeof KEY.publicKey {
    for (;;) {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      if (publicKey.export({ format: 'jwk' })[coordinate]?.startsWith('AA')) return publicKey;
    }
  }
});
