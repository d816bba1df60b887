export * from '../../src/fleet-sim/chip/software-ak.ts';
