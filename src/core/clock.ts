/** Time as an argument, so that deciding code can be tested at any moment. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => Date.now() };

export const secondsOf = (clock: Clock): number => Math.floor(clock.nowMs() / 1000);
