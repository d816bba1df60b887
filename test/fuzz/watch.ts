import { MAX_INPUT_BYTES } from './examine.ts';

/** The input being tried, where another thread still sees it when this one never comes back. */
export interface CurrentInput {
  readonly memory: SharedArrayBuffer;
  write(input: Uint8Array): void;
  read(): Uint8Array;
  /** Changes with every input. */
  count(): number;
}

const HEADER_BYTES = 8;

export function createCurrentInput(
  memory = new SharedArrayBuffer(HEADER_BYTES + MAX_INPUT_BYTES),
): CurrentInput {
  const header = new Int32Array(memory, 0, 2);
  const bytes = new Uint8Array(memory, HEADER_BYTES);
  return {
    memory,
    write: (input) => {
      bytes.set(input);
      header[1] = input.length;
      Atomics.add(header, 0, 1);
    },
    read: () => bytes.slice(0, header[1]),
    count: () => Atomics.load(header, 0),
  };
}
