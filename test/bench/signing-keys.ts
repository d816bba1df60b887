import { constants, type KeyObject, sign } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pkcs11 from 'pkcs11js';
import { createKeyFile } from '../../src/signing/keys/key-file.ts';
import { KeyOpener } from '../../src/signing/keys/open-key.ts';
import { MECHANISMS } from '../../src/signing/keys/pkcs11-mechanism.ts';
import { createPrivateKeyFor, publicKeyOf } from '../../src/signing/public-key.ts';
import { PIN, SOFTHSM_MODULE, SoftHsm } from '../signing/keys/pkcs11-softhsm.ts';
import { type Measurement, spreadOf } from './bench-process.ts';

const SCHEMES = ['ed25519', 'ecdsa-sha2-nistp256', 'rsassa-pss-sha256'] as const;
type BenchScheme = (typeof SCHEMES)[number];

const POOL = 4;
const ROUNDS = 5;
const ROUND_MS = 800;
/** As many as keep every session busy, and some that wait. */
const AT_ONCE = 16;
/** The size of a timestamp's signed part. */
const MESSAGE = new Uint8Array(400).fill(0x61);

/** Signatures of a wall-clock second: each store through our port beside its bare library, in turns. */
export async function benchKeyStores(): Promise<Measurement[]> {
  const hsm = await SoftHsm.create();
  const folder = await mkdtemp(join(tmpdir(), 'bootward-bench-'));
  const secrets = { pinOf: async () => PIN, passphraseOf: async () => 'bench' };
  const opener = new KeyOpener({ secrets, sessions: POOL });
  try {
    await hsm.createToken('bench');
    const measurements: Measurement[] = [];
    for (const scheme of SCHEMES) measurements.push(...(await benchToken(scheme, hsm, opener)));
    for (const scheme of SCHEMES) measurements.push(...(await benchFile(scheme, folder, opener)));
    return measurements;
  } finally {
    await opener.close();
    await rm(folder, { recursive: true });
    await hsm.remove();
  }
}

async function benchToken(scheme: BenchScheme, hsm: SoftHsm, opener: KeyOpener): Promise<Measurement[]> {
  const privateKey = createPrivateKeyFor(scheme);
  await hsm.importKey({ token: 'bench', label: scheme, id: `0${SCHEMES.indexOf(scheme)}`, privateKey });
  const signer = await opener.open(`pkcs11:token=bench;object=${scheme}?module-path=${SOFTHSM_MODULE}`);
  const bare = openBareSessions(scheme);
  const key = publicKeyOf(signer.key);
  const { verify, encode } = MECHANISMS[scheme];
  const input = () => MECHANISMS[scheme].input(MESSAGE);
  const [ours, theirs, verified] = await ratesOf([
    { workers: AT_ONCE, action: () => signer.sign(MESSAGE) },
    { workers: POOL, action: (worker) => bare(worker, input()) },
    {
      workers: POOL,
      action: async (worker) => {
        if (!verify(MESSAGE, key, encode(await bare(worker, input())))) throw new Error('not a signature');
      },
    },
  ]);
  return [
    rate(`${scheme}, SoftHSM, ${POOL} sessions, through the port`, ours),
    rate(`${scheme}, SoftHSM, ${POOL} sessions, bare pkcs11js`, theirs),
    rate(`${scheme}, SoftHSM, ${POOL} sessions, bare pkcs11js, each signature verified`, verified),
    ratio(`${scheme}: port to bare pkcs11js`, ours, theirs, '≥ 0.70'),
    ratio(`${scheme}: port to bare pkcs11js that verifies as well`, ours, verified, '≥ 0.70'),
  ];
}

async function benchFile(scheme: BenchScheme, folder: string, opener: KeyOpener): Promise<Measurement[]> {
  const path = join(folder, `${scheme}.key`);
  await createKeyFile({ path, passphrase: 'bench', logN: 12, scheme });
  const signer = await opener.open(`file:${path}`);
  const privateKey = createPrivateKeyFor(scheme);
  const bare = bareSign(scheme, privateKey);
  const [ours, theirs] = await ratesOf([
    { workers: 1, action: () => signer.sign(MESSAGE) },
    { workers: 1, action: async () => bare() },
  ]);
  return [
    rate(`${scheme}, key file, through the port`, ours),
    rate(`${scheme}, bare crypto.sign`, theirs),
    ratio(`${scheme}: port to bare crypto.sign`, ours, theirs, '≥ 0.90'),
  ];
}

function bareSign(scheme: BenchScheme, key: KeyObject): () => Uint8Array {
  const padding = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  if (scheme === 'rsassa-pss-sha256') return () => sign('sha256', MESSAGE, padding);
  return () => sign(scheme === 'ed25519' ? null : 'sha256', MESSAGE, key);
}

type BareSign = (worker: number, data: Uint8Array) => Promise<Uint8Array>;

/** In this process, which our own sessions have logged in already. */
function openBareSessions(label: string): BareSign {
  const module = new pkcs11.PKCS11();
  module.load(SOFTHSM_MODULE);
  const slot = module
    .C_GetSlotList(true)
    .find((candidate) => module.C_GetTokenInfo(candidate).label.trimEnd() === 'bench');
  if (slot === undefined) throw new Error('there is no token');
  const sessions = Array.from({ length: POOL }, () => {
    const session = module.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION);
    module.C_FindObjectsInit(session, [
      { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_PRIVATE_KEY },
      { type: pkcs11.CKA_LABEL, value: label },
    ]);
    const [key] = module.C_FindObjects(session, 1);
    module.C_FindObjectsFinal(session);
    if (key === undefined) throw new Error('there is no key');
    return { session, key };
  });
  const mechanism = nativeMechanism(label as BenchScheme);
  return async (worker, data) => {
    const { session, key } = sessions[worker] ?? sessions[0] ?? { session: slot, key: slot };
    const bytes = Buffer.from(data);
    module.C_SignInit(session, mechanism, key);
    return module.C_SignAsync(session, bytes, Buffer.alloc(512));
  };
}

function nativeMechanism(scheme: BenchScheme) {
  const { type, pss } = MECHANISMS[scheme].mechanism;
  if (pss === undefined) return { mechanism: type };
  const { hash, mgf, saltBytes } = pss;
  const parameter = { type: pkcs11.CK_PARAMS_RSA_PSS, hashAlg: hash, mgf, saltLen: saltBytes };
  return { mechanism: type, parameter };
}

interface Contender {
  /** How many go on at the same time. */
  workers: number;
  action(worker: number): Promise<unknown>;
}

/** Per second, round by round, after one round that does not count. */
async function ratesOf(contenders: readonly Contender[]): Promise<number[][]> {
  const rates: number[][] = contenders.map(() => []);
  for (let round = 0; round <= ROUNDS; round += 1)
    for (const [index, contender] of contenders.entries()) {
      const rate = await roundOf(contender);
      if (round > 0) rates[index]?.push(rate);
    }
  return rates;
}

async function roundOf({ workers, action }: Contender): Promise<number> {
  const start = performance.now();
  let count = 0;
  const work = async (_: unknown, worker: number) => {
    for (; performance.now() - start < ROUND_MS; count += 1) await action(worker);
  };
  await Promise.all(Array.from({ length: workers }, work));
  return (count * 1000) / (performance.now() - start);
}

function rate(name: string, rates: readonly number[] = []): Measurement {
  return { name: `signatures per second, ${name}`, value: spreadOf(rates, 0), aim: '' };
}

function ratio(
  name: string,
  ours: readonly number[] = [],
  theirs: readonly number[] = [],
  aim = '',
): Measurement {
  const ratios = ours.map((value, round) => value / (theirs[round] ?? Number.NaN));
  return { name: `ratio, ${name}`, value: spreadOf(ratios, 2), aim };
}

if (import.meta.main) console.table(await benchKeyStores());
