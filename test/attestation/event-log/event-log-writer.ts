export * from '../../../src/fleet-sim/firmware/event-log-writer.ts';
