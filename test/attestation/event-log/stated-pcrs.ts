import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { toHex } from '../../../src/core/bytes.ts';
import { hashById } from '../../../src/tpm/algorithms.ts';
import { CORPORA } from '../../corpora.ts';

const GO_TPM_TOOLS = join(CORPORA, 'google/go-tpm-tools');
const TPM2_TOOLS = join(CORPORA, 'tpm2-software/tpm2-tools/test/integration/fixtures');
const GO_ATTESTATION = join(CORPORA, 'google/go-attestation/attest/testdata');

/** Bank → PCR → hex. */
export type Banks = Record<string, Record<string, string>>;

/** A log of another project, and the PCR values that its source states for it. */
export interface StatedLog {
  name: string;
  /** Absent where the corpora do not hold the log. */
  bytes?: Uint8Array;
  banks: Banks;
}

/** Every statement that the corpora hold; none when they are not there. */
export function statedLogs(): StatedLog[] {
  return existsSync(CORPORA) ? [...goTpmTools(), ...tpm2Tools(), goAttestation()] : [];
}

function goTpmTools(): StatedLog[] {
  const path = join(GO_TPM_TOOLS, 'expected/eventlog_pcrs.json');
  const document: Record<string, { file?: string; banks?: Banks }> = JSON.parse(readFileSync(path, 'utf8'));
  return Object.values(document).flatMap(({ file, banks }) =>
    file && banks
      ? { name: `go-tpm-tools ${file.split('/').at(-1)}`, banks, ...bytesOf(join(GO_TPM_TOOLS, file)) }
      : [],
  );
}

/** The `pcrs:` block of each YAML rendering, in whatever folder it lies. */
function tpm2Tools(): StatedLog[] {
  return readdirSync(TPM2_TOOLS, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.bin.yaml'))
    .sort()
    .flatMap((name) => {
      const text = readFileSync(join(TPM2_TOOLS, name), 'utf8');
      const start = text.lastIndexOf('\npcrs:');
      if (start === -1) return [];
      const log =
        name
          .split('/')
          .at(-1)
          ?.replace(/\.yaml$/, '') ?? '';
      return {
        name: `tpm2-tools ${name}`,
        banks: yamlBanks(text.slice(start)),
        ...bytesOf(join(TPM2_TOOLS, log)),
      };
    });
}

/** Values are 0x-hex, so they must stay text. */
function yamlBanks(block: string): Banks {
  const { pcrs } = parseYaml(block, { schema: 'failsafe' }) as { pcrs: Banks | '' };
  return Object.fromEntries(
    Object.entries(pcrs || {}).map(([bank, values]) => [
      bank,
      Object.fromEntries(
        Object.entries(values).map(([pcr, value]) => [pcr.trim(), value.slice(2).toLowerCase()]),
      ),
    ]),
  );
}

/** What a Windows machine's TPM answered, of the PCRs that firmware extends. */
function goAttestation(): StatedLog {
  const name = 'windows_gcp_shielded_vm.json';
  const { Log } = JSON.parse(readFileSync(join(GO_ATTESTATION, name), 'utf8')) as {
    Log: { Raw: string; PCRs: { Index: number; Digest: string; DigestAlg: number }[] };
  };
  const banks: Banks = {};
  for (const { Index, Digest, DigestAlg } of Log.PCRs) {
    const bank = DigestAlg === 3 ? 'sha1' : (hashById(DigestAlg)?.name ?? '');
    const value = toHex(Buffer.from(Digest, 'base64'));
    banks[bank] = { ...banks[bank], ...(!/^(?:0+|f+)$/.test(value) && { [Index]: value }) };
  }
  return { name: `go-attestation ${name}`, bytes: Buffer.from(Log.Raw, 'base64'), banks };
}

function bytesOf(path: string): { bytes?: Uint8Array } {
  return existsSync(path) ? { bytes: new Uint8Array(readFileSync(path)) } : {};
}
