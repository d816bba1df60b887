import { Counter } from 'prom-client';
import type { AnyApp, DoorCounters, FirmwareApp } from '../door.ts';
import type { MetricsRegistry } from './registry.ts';

type MeteredDoor = { readonly app: AnyApp; readonly counters: Readonly<DoorCounters> };

/** Answers by the pattern of their route (`none` where no route was), and what never became a request. */
export function meterDoors(registry: MetricsRegistry, doors: Readonly<Record<string, MeteredDoor>>): void {
  const registers = [registry];
  const answers = new Counter({
    name: 'bootward_http_requests_total',
    help: 'Answered requests by door, pattern of the route and class of the status.',
    labelNames: ['door', 'route', 'status'],
    registers,
  });
  for (const [door, { app }] of Object.entries(doors))
    (app as FirmwareApp).addHook('onResponse', async (request, reply) => {
      const route = request.routeOptions.url ?? 'none';
      answers.inc({ door, route, status: `${Math.floor(reply.statusCode / 100)}xx` });
    });
  meterFailures(registry, doors);
}

function meterFailures(registry: MetricsRegistry, doors: Readonly<Record<string, MeteredDoor>>): void {
  const failures = {
    tlsClientErrors: ['bootward_tls_handshake_failures_total', 'TLS handshakes that failed, by door.'],
    brokenRequests: ['bootward_broken_requests_total', 'What was refused before it was a request, by door.'],
  } as const;
  for (const [counter, [name, help]] of Object.entries(failures))
    new Counter({
      name,
      help,
      labelNames: ['door'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [door, { counters }] of Object.entries(doors))
          this.inc({ door }, counters[counter as keyof DoorCounters]);
      },
    });
}
