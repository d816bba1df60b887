import type { NodeStatus } from './node.ts';

/** How many of each there are; whoever asks every few seconds costs the server no look at every row. */
export interface NodeFigures {
  countNodes(): Promise<{ status: NodeStatus; count: number }[]>;
  /** Enrolled ones. */
  countSuspects(): Promise<number>;
  /** Challenges that are neither answered nor expired. */
  countOpenChallenges(nowSeconds: number): Promise<number>;
}
