/** Public test files that may lie beside the checkout, read in place. `make coverage` measures without them. */
export const CORPORA = process.env.BOOTWARD_CORPORA ?? '../shared/corpora';
