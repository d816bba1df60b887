import { join } from 'node:path';
import { concatBytes, utf8Bytes } from '../../src/core/bytes.ts';
import { type CpioEntry, writeCpio } from '../../src/signing/efi/cpio.ts';
import { filesBelow, sourceFile } from '../layer.ts';
import { agentPrograms } from '../stage0/agent-layer.ts';

/** The demo OS: an /init of its own, and the agent beside it, as a real system would have it. */
export function demoOsLayer(agentFolder: string): CpioEntry[] {
  return [
    sourceFile(join(import.meta.dirname, 'init'), 'init'),
    ...['network', 'second-grant', 'floor-attack'].map((name) =>
      sourceFile(join(import.meta.dirname, name), `usr/lib/bootward-demo/${name}`),
    ),
    ...filesBelow(join(import.meta.dirname, 'health.d'), 'etc/bootward/health.d'),
    ...agentPrograms(agentFolder),
  ];
}

/** One demo release's initramfs: the built one with the release's name, and other files, in front of it. */
export function composeDemoInitramfs(input: {
  initramfs: Uint8Array;
  name: string;
  /** For /etc/bootward, as stage-0 has them: without them the release tells nobody how it is. */
  config?: Readonly<Record<string, Uint8Array>>;
}): Uint8Array {
  const files = { 'bootward-release': utf8Bytes(`${input.name}\n`), ...prefixed(input.config ?? {}) };
  const entries = Object.entries(files).map(
    ([name, data]): CpioEntry => ({ type: 'file', path: `etc/${name}`, mode: 0o644, data }),
  );
  return concatBytes(writeCpio(entries), input.initramfs);
}

function prefixed(config: Readonly<Record<string, Uint8Array>>): Record<string, Uint8Array> {
  return Object.fromEntries(Object.entries(config).map(([name, data]) => [`bootward/${name}`, data]));
}
