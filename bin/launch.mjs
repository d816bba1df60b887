// Plain JavaScript that any Node >= 20 runs. It starts a command of ours on the runtime that this
// project pins (package.json, optionalDependencies), whatever Node the machine has.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NEEDS_MAJOR = 26;
const FORWARDED_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'];

/** @param {string} command name of a file in src/cli, without its extension */
export async function launch(command) {
  if (Number(process.versions.node.split('.')[0]) < NEEDS_MAJOR) return respawn(pinnedNode());
  await import(pathToFileURL(entryOf(command)).href);
}

// Type stripping does not work below node_modules: an installed copy runs dist/, a checkout runs src/.
function entryOf(command) {
  const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
  const source = path(`../src/cli/${command}.ts`);
  return existsSync(source) && !source.includes('/node_modules/')
    ? source
    : path(`../dist/cli/${command}.js`);
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

function respawn(node) {
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  for (const signal of FORWARDED_SIGNALS) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 70);
    for (const forwarded of FORWARDED_SIGNALS) process.removeAllListeners(forwarded);
    process.kill(process.pid, signal);
  });
}
