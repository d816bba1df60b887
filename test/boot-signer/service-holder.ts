import { startSigningService } from '../../src/boot-signer/serve.ts';
import { stopDeadAt } from './stop-dead.ts';

// The service as `boot-signer serve` starts it, with places where it is to stop dead.

const [, , configFile = '', frontFault = '', keyProcessEntry = ''] = process.argv;
try {
  const service = await startSigningService({
    configFile,
    environment: {},
    ...(keyProcessEntry !== '' && { keyProcessEntry }),
    ...(frontFault !== '' && { step: stopDeadAt(JSON.parse(frontFault)) }),
  });
  console.log(JSON.stringify({ keyProcessPid: service.keyProcessPid, port: service.port }));
  process.on('SIGTERM', () => void service.stop().then(() => process.exit(0)));
  await service.ended;
  process.exit(75);
} catch (error) {
  console.error(error);
  process.exit(78);
}
