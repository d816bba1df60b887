import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { concatBytes, fromHex, sha256, toHex } from '../../src/core/bytes.ts';
import { SHELLS } from './agent-run.ts';
import { openScriptedLab, type ScriptedLab } from './scripted-lab.ts';

let lab: ScriptedLab;
beforeAll(async () => {
  lab = await openScriptedLab();
});
afterAll(() => lab.close());

describe('a boot without anything wrong', () => {
  it.each(SHELLS)('goes from challenge to hand-over under %s %s', async (...shell) => {
    const outcome = await lab.run({ shell });
    expect(outcome.status, outcome.console).toBe(0);
    const digest = String(outcome.world.release.digest);
    expect(outcome.pcr14).toBe(toHex(sha256(concatBytes(new Uint8Array(32), fromHex(digest)))));
  });
});
