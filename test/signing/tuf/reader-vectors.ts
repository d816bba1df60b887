// What the server's reader (src/signing/tuf) and the nodes' (agent/lib/tuf.sh) must take or refuse alike: a
// file that one of them takes and the other refuses is published and stops every node.

export const EXPIRES_REFUSED: readonly string[] = [
  '2049-01-31T24:00:00Z',
  '2049-01-31T23:60:00Z',
  '2049-01-31T23:59:60Z',
  '2049-02-30T00:00:00Z',
  '2050-02-29T00:00:00Z',
  '2049-13-01T00:00:00Z',
  '2049-01-00T00:00:00Z',
  '0999-01-01T00:00:00Z',
  '2049-01-01',
  '2049-01-01T00:00:00z',
  '2049-01-01T00:00:00.5Z',
  '2049-01-01T00:00:00+00:00',
  '2049-01-01T00:00:00Z\\n',
];

export const EXPIRES_TAKEN: readonly string[] = [
  '2049-01-31T23:59:59Z',
  '2048-02-29T00:00:00Z',
  '9999-12-31T23:59:59Z',
];

export const SPEC_VERSIONS_REFUSED: readonly string[] = [
  '1.0.1000',
  '1.0',
  '1.0.',
  '1.1.0',
  '1.0.31.1',
  'v1.0.31',
];

export const SPEC_VERSIONS_TAKEN: readonly string[] = ['1.0.0', '1.0.31', '1.0.999'];
