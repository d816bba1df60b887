import { defineConfig } from 'vitest/config';

// The tests that judge a mutant: those of the room, without the slow ones that need the corpora, and of what it names
// of src/tpm.
export default defineConfig({
  test: {
    include: ['test/attestation/**/*.test.ts', 'test/tpm/{pcr-selection,public-area}.test.ts'],
    exclude: ['test/attestation/x509/{limbo,pkits}.test.ts'],
    testTimeout: 20_000,
  },
});
