import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { asciiBytes, concatBytes, fromHex, sha256, toHex } from '../../src/core/bytes.ts';
import { SHA256 } from '../../src/fleet-sim/chip/software-ak.ts';
import { writeLog } from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { parseEventLog } from '../../src/tpm/event-log.ts';
import { replayBank } from '../../src/tpm/event-log-replay.ts';
import { EVENT_TYPE } from '../../src/tpm/event-types.ts';
import { hasSoftwareTpm, startSoftwareTpm } from './software-tpm.ts';

/** TPM2_Startup(TPM_SU_CLEAR) as it goes over the wire: tpm2-tools would choose the locality themselves. */
const STARTUP = fromHex('80010000000c000001440000');
const SUCCESS = '80010000000a00000000';

test.skipIf(!hasSoftwareTpm())(
  'L33 a TPM started from locality 3 agrees with our replay, not with tpm2-tools 5.4',
  async () => {
    const tpm = await startSoftwareTpm();
    try {
      const { command, control } = tpm.ports;
      const door = ['--tcp', `127.0.0.1:${control}`];
      tpm.run('swtpm_ioctl', ...door, '-i');
      tpm.run('swtpm_ioctl', ...door, '-l', '3');
      expect(await transmit(command, STARTUP)).toBe(SUCCESS);
      const version = Buffer.from('1.0\0', 'utf16le');
      tpm.run('tpm2_pcrextend', `0:sha256=${toHex(sha256(version))}`);
      tpm.run('tpm2_pcrread', 'sha256:0', '-o', 'pcr0');

      const locality = concatBytes(asciiBytes('StartupLocality\0'), Uint8Array.of(3));
      const log = writeLog([
        { pcr: 0, type: EVENT_TYPE.EV_NO_ACTION, data: locality },
        { pcr: 0, type: EVENT_TYPE.EV_S_CRTM_VERSION, data: version },
      ]);
      const replayed = replayBank(parseEventLog(log), SHA256)?.get(0);
      expect(toHex(tpm.read('pcr0'))).toBe(toHex(replayed ?? new Uint8Array(0)));
      const tools = tpm.run('tpm2_eventlog', tpm.write('log.bin', log));
      expect(tools).toContain('EV_S_CRTM_VERSION');
      if (tpm.run('tpm2_eventlog', '--version').includes('version="5.4"'))
        expect(tools).not.toContain(toHex(tpm.read('pcr0')));
    } finally {
      tpm.stop();
    }
  },
);

function transmit(port: number, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.once('error', reject);
    socket.once('data', (answer: Buffer) => {
      socket.destroy();
      resolve(toHex(answer));
    });
  });
}
