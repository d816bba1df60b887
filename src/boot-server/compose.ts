import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { builtInPolicy } from '../attestation/policy/policy.ts';
import type { Stage0Reference } from '../attestation/policy/stage0-matching.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { sweepTemporaryFiles } from '../core/durable-file.ts';
import { systemRandom } from '../core/random.ts';
import { loadOrCreateServerKey } from '../signing/keys/server-key.ts';
import { createServedFloor, SERVED_FLOOR_FILE } from '../signing/repository/served-floor.ts';
import { createArtifactStore } from '../storage/artifact-store.ts';
import { openDatabase } from '../storage/database.ts';
import { createSqlAttestationStore } from '../storage/sql-attestation-store.ts';
import { createSqlChannelStore } from '../storage/sql-channels.ts';
import { createSqlEventStore } from '../storage/sql-events.ts';
import { createSqlPolicyStore } from '../storage/sql-policies.ts';
import { createSqlReleaseStore } from '../storage/sql-release-store.ts';
import { createSqlRunningNodeStore } from '../storage/sql-running-nodes.ts';
import { createSqlTokenStore } from '../storage/sql-tokens.ts';
import { createSqlTrustAnchorStore } from '../storage/sql-trust-anchors.ts';
import { openAnchorFolder } from './anchor-folder.ts';
import { finishRestore } from './backup/pending-restore.ts';
import type { Config } from './config.ts';
import { lockDataFolder } from './data-folder.ts';
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
import { registerChannelRoutes } from './routes/operators/channels.ts';
import { registerEndorsementKeyRoutes } from './routes/operators/endorsement-keys.ts';
import { registerEventRoutes } from './routes/operators/events.ts';
import { registerFirmwareApprovalRoutes } from './routes/operators/firmware.ts';
import { registerNodeChoiceRoutes } from './routes/operators/node-choices.ts';
import { registerNodeRoutes } from './routes/operators/nodes.ts';
import { registerPolicyRoutes } from './routes/operators/policies.ts';
import { registerReleaseRoutes } from './routes/operators/releases.ts';
import { registerTokenRoutes } from './routes/operators/tokens.ts';
import { registerTrustAnchorRoutes } from './routes/operators/trust-anchors.ts';
import { registerVerdictRoutes } from './routes/operators/verdicts.ts';
import { createAdmissionService } from './services/admission.ts';
import { createAppraiser } from './services/appraiser.ts';
import { createChallengeService } from './services/challenges.ts';
import { createChannelService } from './services/channels.ts';
import { createEkExaminer } from './services/ek-examiner.ts';
import { createEnrolmentTokenService } from './services/enrolment-tokens.ts';
import { createEnrolmentService } from './services/enrolments.ts';
import { createEvidenceService } from './services/evidence.ts';
import { createFirmwareService } from './services/firmware.ts';
import { startFreshnessWatch } from './services/freshness-watch.ts';
import { createGrantService } from './services/grants.ts';
import { startHousekeeping } from './services/housekeeping.ts';
import { createPolicyService } from './services/policies.ts';
import { createPolicyTrial } from './services/policy-trial.ts';
import { createReadinessService } from './services/readiness.ts';
import { createReleaseChoice } from './services/release-choice.ts';
import { createRepositoryService, type RepositoryService } from './services/repository.ts';
import { refuseWhenSetBack } from './services/set-back.ts';
import { createTrustAnchorService } from './services/trust-anchors.ts';
import { loadTlsFolder, type TlsIdentity } from './tls/tls-folder.ts';
import { loadPinnedRoots, loadTpmVendors } from './tpm-vendors.ts';
import { createInlineVerification } from './verification/verification.ts';
import { createVerificationWorkers } from './verification/verification-workers.ts';

export interface BootServer {
  /** Where the doors listen; a configured port 0 has become a real one. */
  ports: { firmware: number; agents: number };
  /** Answers under way are finished, then everything is closed. */
  stop(): Promise<void>;
}

interface Start {
  config: Config;
  logger: Logger;
  clock?: Clock;
}

/**
 * Resolves when all doors are open.
 *
 * @throws {DataFolderError} while another server uses the data folder; then nothing in it was touched
 */
export async function startBootServer(on: Start): Promise<BootServer> {
  const { dataDir } = on.config;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const release = await lockDataFolder(dataDir);
  try {
    const { ports, stop } = await open(on);
    return { ports, stop: () => stop().finally(release) };
  } catch (cause) {
    await release();
    throw cause;
  }
}

/** The one place where every part of the server meets. */
async function open(on: Start): Promise<BootServer> {
  const { config, logger, clock = systemClock } = on;
  const state = await openState(config, clock);
  const services = createServices(state, { config, clock, logger });
  const doors = createDoors(state.tls, config, logger);
  registerRoutes(doors, { ...state, ...services, config, clock });
  const housekeeping = startHousekeeping({ ...state, ...services, config, clock, logger });
  const refreshSeconds = config.metadataRefreshSeconds;
  const freshness = startFreshnessWatch({ ...state, refreshSeconds, clock, logger });
  const ports = { firmware: await doors.firmware.listen(), agents: await doors.agents.listen() };
  await doors.operators.listen();
  const { authority } = state.tls;
  const { keyId: grantKeyId } = state.grantKey;
  const operators = config.operators.socket;
  logger.info({ ...ports, operators, authority: authority.path, grantKeyId }, 'boot server is open');

  return {
    ports,
    async stop() {
      housekeeping.stop();
      freshness.stop();
      await Promise.all(Object.values(doors).map((door) => door.drain(config.drainSeconds)));
      await services.verification.stop();
      await state.database.destroy();
      logger.info({}, 'boot server has stopped');
    },
  };
}

/** Everything that lies on disk; what is missing is made on the first start, what is there is checked. */
async function openState(config: Config, clock: Clock) {
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
    store: createSqlAttestationStore(database),
    tokenStore: createSqlTokenStore(database),
    policyStore: createSqlPolicyStore(database),
    runningNodes: createSqlRunningNodeStore(database),
    eventStore,
    repository,
    channels: createSqlChannelStore(database),
  };
}

type State = Awaited<ReturnType<typeof openState>>;

function createServices(
  { trustAnchors, tls, grantKey, store, tokenStore, policyStore, repository, channels }: State,
  { config, clock, logger }: { config: Config; clock: Clock; logger: Logger },
) {
  const random = systemRandom;
  const serverKeys = [tls.agents.spkiSha256];
  const ttlSeconds = config.challengeTtlSeconds;
  const builtIn = builtInPolicy({
    eventLog: config.policy.eventLog,
    secureBoot: config.policy.requireSecureBoot ? 'required' : 'optional',
  });
  const policies = createPolicyService({ store: policyStore, builtIn, clock });
  const challenges = createChallengeService({ store, grantKey, serverKeys, ttlSeconds, clock, random });
  const tokens = createEnrolmentTokenService({ tokens: tokenStore, clock, random });
  const grants = createGrantService({
    store,
    listedStage0: () => listedStage0(repository),
    grantKey,
    ttlSeconds: config.grantTtlSeconds,
    clock,
    random,
  });
  const threads = config.limits.verificationThreads;
  const releaseChoice = createReleaseChoice({ channels, repository, clock });
  const verification =
    threads === 0 ? createInlineVerification() : createVerificationWorkers({ threads, logger });
  const appraiser = createAppraiser({
    verification,
    repository,
    policies: policies.source,
    serverKeys,
    clock,
  });
  return {
    verification,
    challenges,
    tokens,
    grants,
    policies,
    policyTrial: createPolicyTrial({ store, policyStore, policies, repository, clock }),
    releaseChoice,
    channelService: createChannelService({ channels, repository, clock, random }),
    firmware: createFirmwareService({ store, policyStore, clock }),
    evidence: createEvidenceService({
      store,
      policyStore,
      policies,
      releaseChoice,
      grants,
      appraiser,
      clock,
    }),
    enrolments: createEnrolmentService({
      store,
      challenges,
      appraiser,
      examineEk: createEkExaminer({
        trustAnchors,
        requireRevocationLists: config.endorsementKeys.revocationLists === 'required',
        acceptExpiredIssuers: config.endorsementKeys.expiredIssuers === 'accept',
        clock,
      }),
      admission: createAdmissionService({
        store,
        tokens,
        isOpenChannel: policies.isOpenChannel,
        defaultChannel: config.admission.channel,
      }),
      tokens,
      ttlSeconds,
      clock,
      random,
    }),
    readiness: createReadinessService({
      repository,
      policies,
      grantKeyId: grantKey.keyId,
      refreshSeconds: config.metadataRefreshSeconds,
      probeDatabase: async () => void (await store.countOpenEnrolments(0)),
      clock,
    }),
    slices: createVerifiedSlices({ cacheBytes: config.limits.sliceCacheBytes }),
  };
}

/** Before the first publication nothing is listed, and nothing was granted. */
function listedStage0(repository: RepositoryService): readonly Stage0Reference[] {
  return (repository.current()?.stage0 ?? []).filter(({ listed }) => listed);
}

function createDoors(tls: TlsIdentity, config: Config, logger: Logger) {
  const { maxConnections, maxBodyBytes } = config.limits;
  const common = { logger, maxConnections, maxBodyBytes };
  const { socket: path, mode } = config.operators;
  return {
    firmware: createFirmwareDoor({ ...common, ...config.firmware, certificate: tls.firmware }),
    agents: createAgentsDoor({ ...common, ...config.agents, certificate: tls.agents }),
    operators: createOperatorsDoor({ ...common, socket: { path, mode } }),
  };
}

/** Who can reach what: a route is on exactly the door that it is registered on. */
function registerRoutes(
  { firmware, agents, operators }: ReturnType<typeof createDoors>,
  on: State & ReturnType<typeof createServices> & { config: Config; clock: Clock },
): void {
  for (const app of [firmware.app, agents.app]) refuseWhenSetBack(app, on.repository);
  registerFirmwareRoutes(firmware.app, on);

  registerHealthRoutes(agents.app, on);
  registerMetadataRoutes(agents.app, on);
  registerChallengeRoutes(agents.app, on);
  registerEnrolmentRoutes(agents.app, on);
  registerEvidenceRoutes(agents.app, on);
  registerArtifactRoutes(agents.app, on);

  const { maxBodyBytes, maxArtifactBytes } = on.config.limits;
  registerHealthRoutes(operators.app, on);
  registerNodeRoutes(operators.app, on);
  registerNodeChoiceRoutes(operators.app, on);
  registerChannelRoutes(operators.app, on);
  registerEndorsementKeyRoutes(operators.app, { ...on, maxBodyBytes });
  registerTokenRoutes(operators.app, on);
  registerTrustAnchorRoutes(operators.app, on);
  registerVerdictRoutes(operators.app, on);
  registerPolicyRoutes(operators.app, on);
  registerFirmwareApprovalRoutes(operators.app, on);
  registerEventRoutes(operators.app, on);
  registerReleaseRoutes(operators.app, { ...on, maxArtifactBytes });
}
