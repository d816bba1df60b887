import { Command } from 'commander';
import { createFleetFolder } from './fleet-folder.ts';
import { runFleet } from './run-fleet.ts';
import { MAX_NODES, MAX_SECONDS, type RunOptions, toCount } from './run-options.ts';

/** docs/fleet-sim.md */
export function createProgram(write: (text: string) => void): Command {
  const program = new Command('fleet-sim').description(
    'machines in software that enrol, boot and report, for load tests and demonstrations',
  );
  program
    .command('create')
    .argument('<folder>', 'where the keys of the chips will be')
    .requiredOption('--nodes <count>', `how many, at most ${MAX_NODES}`)
    .description('make a fleet and what a server needs to know of it')
    .action(async (folder: string, { nodes }: { nodes: string }) => {
      const files = await createFleetFolder(folder, toCount('nodes', nodes, { from: 1, to: MAX_NODES }));
      write(`${nodes} chips are in ${files.fleetFile}. On the server, which must not be one that counts:
  boot-admin trust-anchors add ${files.manufacturerFile} --accept-unknown
  boot-admin ek import ${files.eksFile} --channel CHANNEL
`);
    });
  program
    .command('run')
    .argument('<folder>', 'what "create" has made')
    .requiredOption('--url <https://HOST:PORT>', "the server's agents door")
    .requiredOption('--ca <file>', "the server's CA (ca.pem)")
    .requiredOption('--stage0 <file>', 'the listed stage-0 image that these machines start')
    .requiredOption('--build <number>', 'its build')
    .option('--nodes <count>', 'so many of the fleet (default: all)')
    .option('--bad <count|percent%>', 'nodes for which some releases are bad', '0')
    .option('--bad-on <versions>', 'those releases, by version, with commas')
    .option(
      '--bad-way <ways>',
      'by turns: comes-back, unhealthy, silent, with commas',
      'comes-back,unhealthy,silent',
    )
    .option('--offline <count|percent%>', 'nodes that nobody switches on', '0')
    .option('--slow <count|percent%>', 'nodes that report late', '0')
    .option('--slow-seconds <count>', 'how late', '5')
    .option('--concurrency <count>', 'boots at one time', '16')
    .option('--waves <count>', 'how often each node is switched on', '1')
    .option('--rest-seconds <count>', 'between two waves', '0')
    .option('--seconds <count>', `no longer than this, at most ${MAX_SECONDS}`, '300')
    .option('--downloads', 'download what is granted, too')
    .description('switch them on; prints what came of it as JSON')
    .action(async (folder: string, options: RunOptions) => {
      write(`${JSON.stringify(await runFleet(folder, options), null, 2)}\n`);
    });
  return program;
}
