// Runs test projects one after the other (two cores, real machines: side by side they would disturb each
// other) and closes with one line that counts all of them. A skipped end-to-end test is a failure: what
// was not seen to happen is not proven.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const MUST_NOT_SKIP = new Set(['processes', 'agent', 'e2e']);
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');

function runProject(project: string): Counts {
  const folder = mkdtempSync(join(tmpdir(), 'bootward-test-'));
  try {
    const report = join(folder, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const { status } = spawnSync(process.execPath, [vitest, 'run', '--project', project, ...reporters], {
      stdio: 'inherit',
    });
    return countsOf(project, readFileSync(report, 'utf8'), status);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function countsOf(project: string, report: string, status: number | null): Counts {
  const result = JSON.parse(report) as Record<
    'numPassedTests' | 'numFailedTests' | 'numPendingTests',
    number
  >;
  const { numPassedTests: passed, numPendingTests: skipped } = result;
  // A file that does not load, or an error outside of any test, fails the run without a failed test.
  const failed = status !== 0 && result.numFailedTests === 0 ? 1 : result.numFailedTests;
  if (!MUST_NOT_SKIP.has(project) || skipped === 0) return { passed, failed, skipped };
  console.error(`${project}: ${skipped} tests were skipped, and none may be`);
  return { passed, failed: failed + skipped, skipped: 0 };
}

const projects = process.argv.slice(2);
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
for (const project of projects) {
  const counts = runProject(project);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
