// Runs test projects one after the other (two cores, real machines: side by side they would disturb each
// other) and closes with one line that counts all of them. A skipped end-to-end test is a failure: what
// was not seen to happen is not proven.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** What failed or may not skip, by project, file and name: said again at the end of the run. */
  faults: string[];
}

/** The part of vitest's JSON report that is read here. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] | null }[];
  }[];
}

const MUST_NOT_SKIP = new Set(['slow', 'agent', 'e2e']);
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

function countsOf(project: string, text: string, status: number | null): Counts {
  const report = JSON.parse(text) as Report;
  const { numPassedTests: passed, numPendingTests: skipped } = report;
  const mayNotSkip = MUST_NOT_SKIP.has(project) && skipped > 0;
  // A file that does not load, or an error outside of any test, fails the run without a failed test.
  const failed = status !== 0 && report.numFailedTests === 0 ? 1 : report.numFailedTests;
  const faults = faultsOf(project, report, mayNotSkip);
  if (failed > 0 && faults.length === 0) faults.push(`${project}: an error outside of any test, see above`);
  return mayNotSkip
    ? { passed, failed: failed + skipped, skipped: 0, faults }
    : { passed, failed, skipped, faults };
}

function faultsOf(project: string, { testResults }: Report, mayNotSkip: boolean): string[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(process.cwd(), name);
    const named = assertionResults.flatMap((test) => {
      if (test.status === 'failed') {
        return [`${project}: ${file}: ${test.fullName}\n${indented(test.failureMessages?.[0] ?? '')}`];
      }
      return mayNotSkip && test.status !== 'passed'
        ? [`${project}: ${file}: ${test.fullName}: skipped, and it may not be`]
        : [];
    });
    return named.length === 0 && status === 'failed' ? [`${project}: ${file}\n${indented(message)}`] : named;
  });
}

/** The first lines of a failure: whoever sees only the end of a log should know where to look. */
function indented(message: string): string {
  return message
    .split('\n')
    .slice(0, 8)
    .map((line) => `    ${line}`)
    .join('\n');
}

const total: Counts = { passed: 0, failed: 0, skipped: 0, faults: [] };
for (const project of process.argv.slice(2)) {
  const counts = runProject(project);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  total.faults.push(...counts.faults);
}
for (const fault of total.faults) console.error(fault);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
