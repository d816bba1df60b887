import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CpioEntry } from '../../src/signing/efi/cpio.ts';
import { ImageBuildError } from '../build-error.ts';
import { filesBelow, sourceFile } from '../layer.ts';

/** The node agent: /init, and everything in /usr/lib/bootward. It lies in front of the userland's archive. */
export function agentLayer(agentFolder: string): CpioEntry[] {
  const init = join(agentFolder, 'init');
  if (!existsSync(init)) throw new ImageBuildError('recipe-broken', `there is no ${init}`);
  return [sourceFile(init, 'init'), ...filesBelow(agentFolder, 'usr/lib/bootward')];
}
