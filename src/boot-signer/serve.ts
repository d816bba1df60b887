import { mkdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pino } from 'pino';
import { sweepTemporaryFiles } from '../core/durable-file.ts';
import { loadConfig } from './config.ts';
import { createSignerApp, type SignerApp } from './front/door.ts';
import { startKeyProcess } from './front/key-link.ts';
import { listenOnSocket, listenOnTcp } from './front/listen.ts';
import { createRequestTexts } from './front/request-texts.ts';
import { installRoutes } from './front/routes.ts';
import { startScheduler } from './front/scheduler.ts';
import { lockState, openState, stateLayout } from './state-folder.ts';

export interface ServeOptions {
  readonly configFile: string;
  readonly environment: NodeJS.ProcessEnv;
  /** For tests: the key process's program, and what is called at each step of the front. */
  readonly keyProcessEntry?: string;
  readonly step?: (name: string) => void;
}

export interface SigningService {
  readonly keyProcessPid: number;
  /** 0 without TCP. */
  readonly port: number;
  /** How the key process ended: then nothing is signed any more, and the service has to be started again. */
  readonly ended: Promise<number | string>;
  stop(): Promise<void>;
}

/** The front: speaks, keeps texts, holds no key. @throws {CodedError} why the service does not start */
export async function startSigningService(options: ServeOptions): Promise<SigningService> {
  const configFile = resolve(options.configFile);
  const config = loadConfig(configFile);
  const logger = pino({ level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime });
  const layout = stateLayout(config.stateDir);
  const lock = await lockState(layout);
  const state = await openState(layout);
  await mkdir(layout.requests, { recursive: true, mode: 0o700 });
  await sweepTemporaryFiles(layout.requests);
  await mkdir(config.imagesDir, { recursive: true, mode: 0o700 });
  await sweepTemporaryFiles(config.imagesDir);
  const link = await startKeyProcess({
    config,
    configFile,
    environment: options.environment,
    log: state.log,
    anchor: state.anchor,
    lock: lock.descriptor,
    ...(options.keyProcessEntry !== undefined && { entry: options.keyProcessEntry }),
  });
  const scheduler = config.refresh && startScheduler(config.refresh, link, logger);
  const texts = createRequestTexts(layout.requests);
  const parts = { config, link, texts, auditFile: layout.log, step: options.step ?? (() => {}), scheduler };
  const apps: SignerApp[] = [];
  const add = async (app: SignerApp): Promise<SignerApp> => {
    installRoutes(app, parts);
    await app.ready();
    apps.push(app);
    return app;
  };
  await listenOnSocket((await add(createSignerApp(logger))).server, config.socket);
  const { tcp } = config;
  const port =
    tcp === undefined
      ? 0
      : await listenOnTcp((await add(createSignerApp(logger, await tlsFiles(tcp)))).server, tcp);
  logger.info({ socket: config.socket.path, port }, 'signing service ready');
  return {
    keyProcessPid: link.pid,
    port,
    ended: link.ended,
    async stop() {
      scheduler?.stop();
      for (const app of apps) app.server.closeIdleConnections();
      await Promise.all(apps.map((app) => app.close()));
      link.close();
      await link.ended;
      await state.close();
      await new Promise((done) => lock.server.close(done));
    },
  };
}

async function tlsFiles(tcp: { certificateFile: string; keyFile: string; clientCaFile: string }) {
  const [cert, key, ca] = await Promise.all(
    [tcp.certificateFile, tcp.keyFile, tcp.clientCaFile].map((path) => readFile(path)),
  );
  return { cert: cert ?? Buffer.alloc(0), key: key ?? Buffer.alloc(0), ca: ca ?? Buffer.alloc(0) };
}
