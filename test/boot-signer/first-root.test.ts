import { writeFileSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { FirstRootDesk } from '../cli/first-root-fixture.ts';
import { ServiceFolder } from './service-fixture.ts';

it('a first root that people signed comes into force with snapshot and timestamp of a service that is new', async () => {
  const desk = await FirstRootDesk.create();
  onTestFinished(() => desk.close());
  desk.nowMs = Date.now();
  const service = new ServiceFolder();
  const { key } = await service.addKey('online');
  const role = (name: string) => ({ role: name, keys: ['online'], maxDays: 40 });
  service.configure({ roles: [role('snapshot'), role('timestamp')] });
  await service.initialise();
  await service.start();

  writeFileSync(desk.publicFile('service/online'), JSON.stringify(key));
  expect(await desk.propose()).toMatchObject({ status: 79 });
  const two = [await desk.signedBy('alice'), await desk.signedBy('dave', 'dave/stage0')];
  const reach = ['--service', service.socketPath];
  expect(await desk.merge(desk.signing, two, ...reach), 'two are not enough').toMatchObject({ status: 79 });
  const third = await desk.signedBy('erin', 'erin/release');
  expect(await desk.merge(desk.signing, [third], ...reach)).toMatchObject({ status: 0, stderr: '' });
  expect(await desk.run('verify', desk.signing)).toMatchObject({ status: 0 });
  expect(await desk.run('refresh', desk.signing, ...reach)).toMatchObject({ status: 0 });
});
