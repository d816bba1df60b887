import type { Suspicion } from './node.ts';

/** Which running nodes owe an answer. Every write is one durable transaction with its audit event. */
export interface RunningNodeStore {
  /** Enrolled nodes of this channel that are not suspect and last proved themselves before this moment. */
  listSilent(query: { channel: string; provenBeforeSeconds: number; limit: number }): Promise<string[]>;
  /**
   * Makes the node suspect and closes its grants, unless it has proven itself meanwhile: of two rounds that see
   * the silence, one does it. `unchanged` for the other.
   */
  suspectSilent(of: {
    nodeId: string;
    provenBeforeSeconds: number;
    suspicion: Suspicion;
  }): Promise<'changed' | 'unchanged'>;
}
