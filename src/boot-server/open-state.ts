import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { sweepTemporaryFiles } from '../core/durable-file.ts';
import { loadOrCreateServerKey } from '../signing/keys/server-key.ts';
import { createServedFloor, SERVED_FLOOR_FILE } from '../signing/repository/served-floor.ts';
import { createArtifactStore } from '../storage/artifact-store.ts';
import { openDatabase } from '../storage/database.ts';
import { createSqlAttestationStore } from '../storage/sql-attestation-store.ts';
import { createSqlChannelStore } from '../storage/sql-channels.ts';
import { createSqlEventStore } from '../storage/sql-events.ts';
import { createSqlNodeFigures } from '../storage/sql-figures.ts';
import { createSqlPolicyStore } from '../storage/sql-policies.ts';
import { createSqlReleaseStore } from '../storage/sql-release-store.ts';
import { createSqlRunningNodeStore } from '../storage/sql-running-nodes.ts';
import { createSqlTokenStore } from '../storage/sql-tokens.ts';
import { createSqlTrustAnchorStore } from '../storage/sql-trust-anchors.ts';
import { openAnchorFolder } from './anchor-folder.ts';
import { finishRestore } from './backup/pending-restore.ts';
import type { Config } from './config.ts';
import { countBoots, countVerdicts } from './metrics/counted-parts.ts';
import type { Metrics } from './metrics/metrics.ts';
import { createRepositoryService } from './services/repository.ts';
import { createTrustAnchorService } from './services/trust-anchors.ts';
import { loadTlsFolder } from './tls/tls-folder.ts';
import { loadPinnedRoots, loadTpmVendors } from './tpm-vendors.ts';

export type State = Awaited<ReturnType<typeof openState>>;

/** Everything that lies on disk; what is missing is made on the first start, what is there is checked. */
export async function openState(config: Config, { clock, metrics }: { clock: Clock; metrics: Metrics }) {
  const { dataDir, publicHosts, trust } = config;
  await finishRestore(dataDir);
  await sweepTemporaryFiles(dataDir);
  const tls = await loadTlsFolder({ folder: join(dataDir, 'tls'), publicHosts, clock });
  const grantKey = await loadOrCreateServerKey(join(dataDir, 'grant.key'));
  const artifacts = await createArtifactStore({ folder: join(dataDir, 'artifacts') });
  const database = await openDatabase(join(dataDir, 'state.db'));
  const trustAnchors = await createTrustAnchorService({
    configured: await loadTpmVendors(config.tpmVendors),
    folder: await openAnchorFolder(join(dataDir, 'tpm-vendors')),
    pins: await loadPinnedRoots(),
    store: createSqlTrustAnchorStore(database),
    clock,
  });
  const eventStore = createSqlEventStore(database);
  const repository = await createRepositoryService({
    floor: createServedFloor(join(dataDir, SERVED_FLOOR_FILE)),
    events: eventStore,
    store: createSqlReleaseStore(database),
    artifacts,
    ...(trust.rootFile !== undefined && { pinnedRoot: await readFile(trust.rootFile) }),
    clock,
  });
  return {
    trustAnchors,
    tls,
    grantKey,
    artifacts,
    database,
    store: countVerdicts(createSqlAttestationStore(database), metrics.meters),
    figures: createSqlNodeFigures(database),
    tokenStore: createSqlTokenStore(database),
    policyStore: createSqlPolicyStore(database),
    runningNodes: createSqlRunningNodeStore(database),
    eventStore,
    repository,
    channels: countBoots(createSqlChannelStore(database), metrics.meters),
  };
}
