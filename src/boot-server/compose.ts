import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '../core/clock.ts';
import { systemRandom } from '../core/random.ts';
import { loadOrCreateServerKey } from '../signing/keys/server-key.ts';
import { createArtifactStore } from '../storage/artifact-store.ts';
import { openDatabase } from '../storage/database.ts';
import { createSqlAttestationStore } from '../storage/sql-attestation-store.ts';
import { createSqlReleaseStore } from '../storage/sql-release-store.ts';
import type { Config } from './config.ts';
import { createVerifiedSlices } from './delivery/verified-slices.ts';
import { createAgentsDoor, createFirmwareDoor, createOperatorsDoor } from './doors.ts';
import type { Logger } from './logger.ts';
import { registerArtifactRoutes } from './routes/artifacts.ts';
import { registerChallengeRoutes } from './routes/challenges.ts';
import { registerEnrolmentRoutes } from './routes/enrolments.ts';
import { registerEvidenceRoutes } from './routes/evidence.ts';
import { registerFirmwareRoutes } from './routes/firmware.ts';
import { registerHealthRoutes } from './routes/health.ts';
import { registerMetadataRoutes } from './routes/metadata.ts';
import { registerEndorsementKeyRoutes } from './routes/operators/endorsement-keys.ts';
import { registerNodeRoutes } from './routes/operators/nodes.ts';
import { registerReleaseRoutes } from './routes/operators/releases.ts';
import { registerVerdictRoutes } from './routes/operators/verdicts.ts';
import { createChallengeService } from './services/challenges.ts';
import { createEkExaminer } from './services/ek-examiner.ts';
import { createEnrolmentService } from './services/enrolments.ts';
import { createAppraiser, createEvidenceService } from './services/evidence.ts';
import { createGrantService } from './services/grants.ts';
import { startHousekeeping } from './services/housekeeping.ts';
import { createReadinessService } from './services/readiness.ts';
import { createRepositoryService } from './services/repository.ts';
import { loadTlsFolder } from './tls/tls-folder.ts';
import { loadTpmVendors } from './tpm-vendors.ts';

export interface BootServer {
  /** Where the doors listen; a configured port 0 has become a real one. */
  ports: { firmware: number; agents: number };
  /** Answers under way are finished, then everything is closed. */
  stop(): Promise<void>;
}

/** The one place where every part of the server meets. Resolves when all doors are open. */
export async function startBootServer(on: {
  config: Config;
  logger: Logger;
  clock?: Clock;
}): Promise<BootServer> {
  const { config, logger, clock = systemClock } = on;
  const random = systemRandom;
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
  const anchors = await loadTpmVendors(config.tpmVendors);
  const tls = await loadTlsFolder({
    folder: join(config.dataDir, 'tls'),
    publicHosts: config.publicHosts,
    clock,
  });
  const grantKey = await loadOrCreateServerKey(join(config.dataDir, 'grant.key'));
  const artifacts = await createArtifactStore({ folder: join(config.dataDir, 'artifacts') });
  const database = await openDatabase(join(config.dataDir, 'state.db'));

  const store = createSqlAttestationStore(database);
  const repository = await createRepositoryService({
    store: createSqlReleaseStore(database),
    artifacts,
    ...(config.trust.rootFile !== undefined && { pinnedRoot: await readFile(config.trust.rootFile) }),
    clock,
  });
  const serverKeys = [tls.agents.spkiSha256];
  const challenges = createChallengeService({
    store,
    grantKey,
    serverKeys,
    ttlSeconds: config.challengeTtlSeconds,
    clock,
    random,
  });
  const grants = createGrantService({ store, grantKey, ttlSeconds: config.grantTtlSeconds, clock, random });
  const appraiser = createAppraiser({
    repository,
    serverKeys,
    policy: {
      eventLog: config.policy.eventLog,
      secureBoot: config.policy.requireSecureBoot ? 'required' : 'optional',
    },
  });
  const evidence = createEvidenceService({ store, repository, grants, appraiser, clock });
  const enrolments = createEnrolmentService({
    store,
    challenges,
    appraiser,
    examineEk: createEkExaminer({ anchors, clock }),
    defaultChannel: config.admission.channel,
    ttlSeconds: config.challengeTtlSeconds,
    clock,
    random,
  });
  const readiness = createReadinessService({
    repository,
    grantKeyId: grantKey.keyId,
    probeDatabase: async () => void (await store.countOpenEnrolments(0)),
    clock,
  });
  const slices = createVerifiedSlices({ cacheBytes: config.limits.sliceCacheBytes });

  const doorOptions = {
    logger,
    maxConnections: config.limits.maxConnections,
    maxBodyBytes: config.limits.maxBodyBytes,
  };
  const firmware = createFirmwareDoor({ ...doorOptions, ...config.firmware, certificate: tls.firmware });
  const agents = createAgentsDoor({ ...doorOptions, ...config.agents, certificate: tls.agents });
  const operators = createOperatorsDoor({
    ...doorOptions,
    socket: { path: config.operators.socket, mode: config.operators.mode },
  });

  registerFirmwareRoutes(firmware.app, { repository, artifacts, slices });
  registerHealthRoutes(agents.app, { readiness });
  registerMetadataRoutes(agents.app, { repository });
  registerChallengeRoutes(agents.app, { store, challenges, repository });
  registerEnrolmentRoutes(agents.app, { enrolments });
  registerEvidenceRoutes(agents.app, { evidence });
  registerArtifactRoutes(agents.app, { repository, grants, artifacts, slices });
  registerHealthRoutes(operators.app, { readiness });
  registerNodeRoutes(operators.app, { store, clock });
  registerEndorsementKeyRoutes(operators.app, { store, clock, maxBodyBytes: config.limits.maxBodyBytes });
  registerVerdictRoutes(operators.app, { store });
  registerReleaseRoutes(operators.app, {
    artifacts,
    repository,
    grantKey,
    maxArtifactBytes: config.limits.maxArtifactBytes,
  });

  const doors = [firmware, agents, operators];
  const housekeeping = startHousekeeping({ store, clock, logger });
  const ports = {
    firmware: await firmware.listen(),
    agents: await agents.listen(),
  };
  await operators.listen();
  logger.info(
    {
      ...ports,
      operators: config.operators.socket,
      authority: tls.authority.path,
      grantKeyId: grantKey.keyId,
    },
    'boot server is open',
  );

  return {
    ports,
    async stop() {
      housekeeping.stop();
      await Promise.all(doors.map((door) => door.drain(config.drainSeconds)));
      await database.destroy();
      logger.info({}, 'boot server has stopped');
    },
  };
}
