/** Every bound on what is read: specification 1.0 section 5 leaves X, Y and Z to the client. */

/** 5.3.3, 5.4.1, 5.5.1, 5.6.1: bytes of one metadata file. */
export const MAX_METADATA_BYTES = {
  root: 64 * 1024,
  timestamp: 16 * 1024,
  snapshot: 256 * 1024,
  targets: 256 * 1024,
  delegated: 4 * 1024 * 1024,
} as const;

/** 5.3.3: root rotations followed from the trusted root on. */
export const MAX_ROOT_ROTATIONS = 256;

/** Bounds the Ed25519 verifications that one file can ask for. */
export const MAX_SIGNATURES = 32;
export const MAX_KEYS = 256;
export const MAX_GRANT_KEYS = 8;
