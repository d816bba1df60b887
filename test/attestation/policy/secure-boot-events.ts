export * from '../../../src/fleet-sim/firmware/secure-boot-events.ts';
