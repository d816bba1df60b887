// Plain JavaScript that any Node >= 20 runs. It starts a command of ours on the runtime that this
// project pins (package.json, optionalDependencies), whatever Node the machine has.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NEEDS_MAJOR = 26;
const FORWARDED_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'];

/**
 * A server that is mostly idle or copying: a small young generation costs it no time and saves 10 MB of
 * memory at rest. The other commands run as the runtime comes.
 */
const RUNTIME_FLAGS = createRequire(import.meta.url)('./runtime-flags.json');

/** @param {'boot-server' | 'boot-admin' | 'boot-sign' | 'boot-signer' | 'fleet-sim'} command */
export async function launch(command) {
  const flags = RUNTIME_FLAGS[command] ?? [];
  const isRightRuntime = Number(process.versions.node.split('.')[0]) >= NEEDS_MAJOR;
  const hasFlags = flags.every((flag) => process.execArgv.includes(flag));
  if (isRightRuntime && hasFlags) await import(pathToFileURL(entryOf(command)).href);
  else restart(isRightRuntime ? process.execPath : pinnedNode(), flags);
}

// Type stripping does not work below node_modules: an installed copy has dist/ and no src/.
function entryOf(command) {
  const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
  const entry = command === 'fleet-sim' ? 'fleet-sim/main' : `cli/${command}`;
  const source = path(`../src/${entry}.ts`);
  return existsSync(source) ? source : path(`../dist/${entry}.js`);
}

function pinnedNode() {
  const name = `node-linux-${process.arch}`;
  try {
    return createRequire(import.meta.url).resolve(`${name}/bin/node`);
  } catch {
    console.error(
      `bootward needs Node ${NEEDS_MAJOR}; this is ${process.versions.node} and the package ${name} is not installed: run "npm ci"`,
    );
    process.exit(70);
  }
}

/** Descriptors beyond the standard three that the command line names, such as `--passphrase-fd 3`. */
function namedDescriptors() {
  const named = [...process.argv.join(' ').matchAll(/-fd[= ]([3-9])(?= |$)/g)].map(([, fd]) => Number(fd));
  const highest = Math.max(2, ...named);
  return Array.from({ length: highest - 2 }, (_, index) =>
    named.includes(index + 3) ? index + 3 : 'ignore',
  );
}

/** In this process's place where the runtime can do that; else as a child that gets our signals. */
function restart(node, flags) {
  const args = [...flags, ...process.argv.slice(1)];
  if (process.execve !== undefined) process.execve(node, [node, ...args]);
  const child = spawn(node, args, { stdio: [0, 1, 2, ...namedDescriptors()] });
  for (const signal of FORWARDED_SIGNALS) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 70);
    for (const forwarded of FORWARDED_SIGNALS) process.removeAllListeners(forwarded);
    process.kill(process.pid, signal);
  });
}
