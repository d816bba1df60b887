import { defineConfig } from 'vitest/config';

// unit: decisions and one process, fast: `make check` runs these. slow: our programs as they run, killed, besieged,
// with HSMs, and stories of seconds. agent: the sh agent on this host with a software TPM. e2e: real firmware in
// QEMU. `make test` runs all of them.

/** None of them may skip: a test that needs what may be absent is a unit test. */
const SLOW = ['test/boot-signer/**/*.test.ts', 'test/**/*.slow.test.ts'];

export default defineConfig({
  test: {
    // `make coverage`: the two rooms that read what an attacker wrote, by their own tests.
    coverage: {
      include: ['src/tpm/**', 'src/attestation/**'],
      reporter: [['text', { skipFull: true }]],
      thresholds: { branches: 100, functions: 100, lines: 100, statements: 100 },
    },
    projects: [
      {
        test: {
          name: 'unit',
          // What CI has; vitest leaves one core for itself.
          maxWorkers: 2,
          include: ['test/**/*.test.ts'],
          exclude: ['test/agent/**', 'test/e2e/**', ...SLOW],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'slow',
          include: SLOW,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'agent',
          include: ['test/agent/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 900_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
