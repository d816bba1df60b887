import { mkdir } from 'node:fs/promises';
import { builtInPolicy } from '../attestation/policy/policy.ts';
import type { Stage0Reference } from '../attestation/policy/stage0-matching.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { systemRandom } from '../core/random.ts';
import type { Config } from './config.ts';
import { lockDataFolder } from './data-folder.ts';
import { createVerifiedSlices } from './delivery/verified-slices.ts';
import { createAgentsDoor, createFirmwareDoor, createMetricsDoor, createOperatorsDoor } from './doors.ts';
import type { Logger } from './logger.ts';
import { timeVerification } from './metrics/counted-parts.ts';
import { meterDoors } from './metrics/door-meters.ts';
import { createMetrics, type Metrics } from './metrics/metrics.ts';
import { openState, type State } from './open-state.ts';
import { registerArtifactRoutes } from './routes/artifacts.ts';
import { registerChallengeRoutes } from './routes/challenges.ts';
import { registerEnrolmentRoutes } from './routes/enrolments.ts';
import { registerEvidenceRoutes } from './routes/evidence.ts';
import { registerFirmwareRoutes } from './routes/firmware.ts';
import { registerHealthRoutes } from './routes/health.ts';
import { registerMetadataRoutes } from './routes/metadata.ts';
import { registerMetricsRoute } from './routes/metrics.ts';
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
import type { RepositoryService } from './services/repository.ts';
import { refuseWhenSetBack } from './services/set-back.ts';
import type { TlsIdentity } from './tls/tls-folder.ts';
import { createInlineVerification } from './verification/verification.ts';
import { createVerificationWorkers } from './verification/verification-workers.ts';

export interface BootServer {
  /** Where the doors listen; a configured port 0 has become a real one. */
  ports: { firmware: number; agents: number; metrics?: number };
  /** Answers under way are finished, then everything is closed. */
  stop(): Promise<void>;
}

interface Start {
  config: Config;
  logger: Logger;
  clock?: Clock;
  /** Metrics of the process too: for a process that starts no other server. */
  ofProcess?: boolean;
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
  const { config, logger, clock = systemClock, ofProcess = false } = on;
  const metrics = createMetrics({ ofProcess });
  const state = await openState(config, { clock, metrics });
  const services = createServices(state, { config, clock, logger, metrics });
  const doors = createDoors(state.tls, config, logger);
  registerRoutes(doors, { ...state, ...services, config, clock, metrics });
  const housekeeping = startHousekeeping({ ...state, ...services, config, clock, logger });
  const refreshSeconds = config.metadataRefreshSeconds;
  const freshness = startFreshnessWatch({ ...state, refreshSeconds, clock, logger });
  const ports = {
    firmware: await doors.firmware.listen(),
    agents: await doors.agents.listen(),
    ...(doors.metrics && { metrics: await doors.metrics.listen() }),
  };
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

function createServices(
  { trustAnchors, tls, grantKey, store, tokenStore, policyStore, repository, channels }: State,
  { config, clock, logger, metrics }: { config: Config; clock: Clock; logger: Logger; metrics: Metrics },
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
  const verification = timeVerification(
    threads === 0 ? createInlineVerification() : createVerificationWorkers({ threads, logger }),
    metrics.meters,
  );
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
    countSentBytes: (bytes: number) => metrics.meters.sentBytes.inc(bytes),
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
  const { port } = config.metrics;
  return {
    firmware: createFirmwareDoor({ ...common, ...config.firmware, certificate: tls.firmware }),
    agents: createAgentsDoor({ ...common, ...config.agents, certificate: tls.agents }),
    operators: createOperatorsDoor({ ...common, socket: { path, mode } }),
    ...(port !== undefined && { metrics: createMetricsDoor({ ...common, port }) }),
  };
}

/** Who can reach what: a route is on exactly the door that it is registered on. */
function registerRoutes(
  doors: ReturnType<typeof createDoors>,
  on: State & ReturnType<typeof createServices> & { config: Config; clock: Clock; metrics: Metrics },
): void {
  const { firmware, agents, operators, metrics } = doors;
  const { registry } = on.metrics;
  meterDoors(registry, doors);
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
  registerMetricsRoute([operators.app, ...(metrics ? [metrics.app] : [])], { ...on, registry });
}
