import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from './config.ts';

export type { Logger } from 'pino';

/**
 * Log lines are JSON, so that no text from outside can forge a line or colour a terminal. Requests are
 * logged by method and path, never with their headers: a grant is a secret.
 */
export function createLogger(log: Config['log'], destination: DestinationStream = process.stdout): Logger {
  const options = {
    level: log.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: ['authorization', '*.authorization', '*.*.authorization'], censor: '[secret]' },
  };
  return pino(options, log.pretty ? readable(destination) : destination);
}

/** For a person at a terminal: `12:00:00 warn  refused code=grant-expired`, values still as JSON. */
function readable(destination: DestinationStream): DestinationStream {
  return {
    write(line: string) {
      const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
      const label = pino.levels.labels[Number(level)] ?? 'info';
      const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
      const text = JSON.stringify(msg ?? '').slice(1, -1);
      destination.write(`${String(time).slice(11, 19)} ${label.padEnd(5)} ${text}${rest.join('')}\n`);
    },
  };
}
