import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { DoorError, listenOnSocket as listenOnDoor } from '../../src/boot-server/door-socket.ts';
import { SignerStateError } from '../../src/boot-signer/errors.ts';
import { listenOnSocket as listenOnSigner } from '../../src/boot-signer/front/listen.ts';
import { listenOnUnixSocket } from '../../src/core/unix-socket.ts';
import { temporaryFolder } from '../temporary-folder.ts';

// One way to listen, and who listens says what failed in its own codes.

const freePath = async () => join(await temporaryFolder(), 's');
const doorOn = (path: string) => listenOnDoor(createServer(), { path, mode: '0600' });
const signerOn = (path: string) => listenOnSigner(createServer(), { path, mode: 0o600 });

it('a socket has its mode, and the process keeps its umask', async () => {
  const path = await freePath();
  const server = createServer();
  const before = process.umask();
  await listenOnUnixSocket(server, { path, mode: 0o620 });
  expect((await stat(path)).mode & 0o777).toBe(0o620);
  expect(process.umask()).toBe(before);
  server.close();
});

it('a socket that someone answers on is taken', async () => {
  const path = await freePath();
  const other = createServer().listen(path);
  await once(other, 'listening');
  await expect(doorOn(path)).rejects.toMatchObject({ constructor: DoorError, code: 'door-socket-taken' });
  await expect(signerOn(path)).rejects.toMatchObject({ constructor: SignerStateError, code: 'socket-taken' });
  other.close();
});

it('a file that is no socket stays', async () => {
  const path = await freePath();
  await writeFile(path, 'precious');
  await expect(doorOn(path)).rejects.toMatchObject({ code: 'door-socket-not-a-socket' });
  await expect(signerOn(path)).rejects.toMatchObject({ code: 'socket-taken' });
  expect((await stat(path)).isFile()).toBe(true);
});

it('a path that cannot be is what the system says, and for a door an error of ours', async () => {
  const path = join(await freePath(), 'in-a-folder-that-is-not-there');
  await expect(doorOn(path)).rejects.toMatchObject({ code: 'door-not-opened' });
  await expect(signerOn(path)).rejects.toMatchObject({ code: 'EACCES' });
});
