import { expect, it } from 'vitest';

// The cases of github.com/theupdateframework/tuf-conformance (MIT) at commit eec841c1, by test file, named as
// pytest names them. Rebuilt here against our own reader: the suite drives a client over HTTP, and its
// repositories have no lengths, hashes or grant keys, which ours must have. It has no case for a key under an
// id that is not the hash of its canonical form, which ours refuses (S3 in verify-repository.test.ts).

const ROOT_ROTATIONS = [
  '1-of-1-key-rotation',
  '1-of-1-key-rotation-unused-signatures',
  '3-of-5-sign-with-different-keycombos',
  '3-of-5-one-key-rotated',
  '3-of-5-one-key-rotated-with-intermediate-step',
  '3-of-5-all-keys-rotated-with-intermediate-step',
  '1-of-3-threshold-increase-to-2-of-3',
  '2-of-3-threshold-decrease-to-1-of-3',
  '1-of-2-threshold-increase-to-2-of-2',
  '1-of-1-key-rotation-fail-not-signed-with-old-key',
  '1-of-1-key-rotation-fail-not-signed-with-new-key',
  '3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys',
  '3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys',
  '1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached',
  '2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-eached',
];

const OTHER_ROTATIONS = [
  '1-of-1-key-rotation',
  '1-of-1-key-rotation-unused-signatures',
  '1-of-1-key-rotation-fail-not-signed-with-new-key',
  '3-of-5-one-key-signature-wrong-not-signed-with-3-expected-keys',
  '2-of-5-one-key-signature-mising-threshold-not-reached',
  '3-of-5-sign-first-combo',
  '3-of-5-sign-second-combo',
  '3-of-5-sign-third-combo',
  '3-of-5-sign-fourth-combo',
  '3-of-5-sign-fifth-combo',
];

const GRAPHS = [
  'basic-delegation',
  'single-level-delegations',
  'two-level-delegations',
  'two-level-test-DFS-order-of-traversal',
  'three-level-delegation-test-DFS-order-of-traversal',
  'two-level-terminating-ignores-all-but-roles-descendants',
  'three-level-terminating-ignores-all-but-roles-descendants',
  'two-level-ignores-all-branches-not-matching-paths',
  'three-level-ignores-all-branches-not-matching-paths',
  'cyclic-graph',
  'two-roles-delegating-to-a-third',
  'two-roles-delegating-to-a-third-different-paths',
];

const SEARCHES = [
  'no delegations',
  'targetpath matches wildcard',
  'targetpath with separators x',
  'targetpath with separators y',
  'targetpath is not delegated by all roles in the chain',
  'wildcard does not match path separator',
  'targetpath matches question mark wildcard',
  'targetpath does not match question mark wildcard',
  'targetpath matching is case sensitive',
];

export const SUITE = {
  test_basic: [
    'test_basic_refresh_requests',
    'test_basic_refresh_trusted_data',
    'test_implicit_refresh',
    'test_invalid_initial_root',
    'test_unsigned_initial_root',
    ...each('test_unsigned_metadata', ['root', 'timestamp', 'snapshot', 'targets']),
    ...each('test_url_and_metadata_version_mismatch', ['root', 'snapshot', 'targets']),
    'test_timestamp_content_changes',
    'test_basic_metadata_hash_support',
    'test_targets_hash_mismatch',
    'test_snapshot_hash_mismatch',
    'test_metadata_bytes_match',
    'test_custom_fields',
    'test_deprecated_keyid_hash_algorithms',
    'test_snapshot_404',
    'test_targets_404',
    'test_timestamp_404',
    'test_incorrect_metadata_type',
    'test_faketime',
  ],
  test_expiration: [
    'test_root_expired',
    'test_timestamp_expired',
    'test_snapshot_expired',
    'test_targets_expired',
    'test_expired_local_root',
    'test_expired_local_timestamp',
  ],
  test_file_download: [
    'test_client_downloads_expected_file',
    'test_client_downloads_expected_file_in_sub_dir',
    'test_repository_substitutes_target_file',
    'test_multiple_changes_to_target',
    ...each('test_download_with_hash_algorithms', ['hashes0', 'hashes1', 'hashes2']),
    'test_download_with_unknown_hash_algorithm',
    'test_artifact_cache',
  ],
  test_keys: [
    'test_snapshot_does_not_meet_threshold',
    'test_snapshot_has_too_few_keys',
    'test_duplicate_keys',
    'test_duplicate_sig_keyids',
    ...each('test_keytype_and_scheme', [
      'rsa/rsassa-pss-sha256',
      'ecdsa/ecdsa-sha2-nistp256',
      'ed25519/ed25519',
    ]),
    'test_invalid_sig_in_valid_metadata',
  ],
  test_quoting_issues: each('test_unusual_role_name', ['?', '#', '/delegatedrole', '../delegatedrole']),
  test_repository_simulator: [
    'test_repo_initialzation_unittest',
    'test_basic_metadata_hash_support_unittest',
    'test_update_timestamp',
  ],
  test_rollback: [
    'test_new_timestamp_version_rollback',
    ...each('test_snapshot_rollback', ['basic', 'with hashes']),
    'test_targets_role_removal',
    'test_targets_fast_forward_recovery',
    'test_new_snapshot_fast_forward_recovery',
    'test_new_timestamp_fast_forward_recovery',
    ...each('test_targets_rollback', ['basic', 'with hashes']),
  ],
  test_static_repositories: each('test_static_repository', ['sigstore-root-signing', 'tuf-on-ci-0.11']),
  test_updater_delegation_graphs: [
    ...each('test_graph_traversal', GRAPHS),
    ...each('test_targetfile_search', SEARCHES),
    'test_cached_role_is_verified_against_current_delegator',
    'test_delegation_not_in_snapshot',
  ],
  test_updater_key_rotations: [
    ...each('test_root_rotation', ROOT_ROTATIONS),
    ...each('test_non_root_rotations', OTHER_ROTATIONS),
  ],
} as const satisfies Record<string, readonly string[]>;

export type SuiteFile = keyof typeof SUITE;

const NO_SEARCH =
  'our reader does not search: targets delegates once, to roles of fixed names and paths, all of them verified; anything else is refused';
const NO_HASHES = 'without length and SHA-256 in its listing a file is refused before versions are compared';
const OWN_SIMULATOR = 'tests the simulator of the suite, not a client';
const FOREIGN_REPOSITORY =
  'a repository with targets of its own, delegations by other names, no lengths and no grant keys: refused';

/** What is not rebuilt, and why. */
export const NOT_APPLICABLE: ReadonlyMap<string, string> = new Map([
  [
    'test_implicit_refresh',
    'there is no download that could come before verification: listings are its result',
  ],
  ['test_artifact_cache', 'not in the specification; our artifacts are kept by hash'],
  ...SUITE.test_repository_simulator.map((name) => [name, OWN_SIMULATOR] as const),
  ['test_snapshot_rollback[basic]', NO_HASHES],
  ['test_targets_rollback[basic]', NO_HASHES],
  ...SUITE.test_static_repositories.map((name) => [name, FOREIGN_REPOSITORY] as const),
  ...each('test_graph_traversal', GRAPHS).map((name) => [name, NO_SEARCH] as const),
  ...each('test_targetfile_search', SEARCHES).map((name) => [name, NO_SEARCH] as const),
]);

const ALL_OR_NOTHING =
  'the suite wants what was good before the fault to be kept (5.3.8, 5.4.5, 5.5.7); ours keeps nothing of a refused repository';
const ONE_HASH = 'SHA-256 and no other hash';

/** Rebuilt, with another outcome than the suite asks for: ours refuses more, or keeps less. */
export const DIFFERENT: ReadonlyMap<string, string> = new Map([
  ...each('test_unsigned_metadata', ['timestamp', 'snapshot', 'targets']).map(
    (name) => [name, ALL_OR_NOTHING] as const,
  ),
  ...each('test_url_and_metadata_version_mismatch', ['snapshot', 'targets']).map(
    (name) => [name, ALL_OR_NOTHING] as const,
  ),
  ['test_targets_hash_mismatch', ALL_OR_NOTHING],
  ['test_snapshot_hash_mismatch', ALL_OR_NOTHING],
  ['test_snapshot_404', ALL_OR_NOTHING],
  ['test_targets_404', ALL_OR_NOTHING],
  ['test_incorrect_metadata_type', ALL_OR_NOTHING],
  ['test_root_expired', ALL_OR_NOTHING],
  ['test_snapshot_expired', ALL_OR_NOTHING],
  ['test_targets_expired', ALL_OR_NOTHING],
  ['test_timestamp_content_changes', 'other bytes of a version that was seen are refused, not passed over'],
  ['test_snapshot_has_too_few_keys', 'root itself is refused when a threshold exceeds the number of keys'],
  ['test_duplicate_keys', 'root itself is refused when a role lists a key id twice: the suite allows either'],
  ['test_download_with_hash_algorithms[hashes1]', ONE_HASH],
  ['test_download_with_hash_algorithms[hashes2]', ONE_HASH],
  ['test_download_with_unknown_hash_algorithm', 'refused with its listing, not only when it is downloaded'],
  ...SUITE.test_quoting_issues.map(
    (name) => [name, 'delegations have names of ours or are refused'] as const,
  ),
  ['test_targets_fast_forward_recovery', 'the delegation must go together with its role'],
  ['test_delegation_not_in_snapshot', 'the whole repository is refused, not only that role'],
]);

export type Cases = Readonly<Record<string, () => Promise<void>>>;

/** Declares the tests of one file of the suite, and that none of its cases is left out. */
export function conformance(file: SuiteFile, cases: Cases): void {
  for (const [name, run] of Object.entries(cases)) it(name, run);
  it(`${file} has every case of the suite`, () => {
    const applicable = SUITE[file].filter((name) => !NOT_APPLICABLE.has(name));
    expect(Object.keys(cases).sort()).toEqual([...applicable].sort());
  });
}

/** The cases of one parametrised test. */
export function eachCase<T>(
  test: string,
  parameters: Readonly<Record<string, T>>,
  run: (parameter: T) => Promise<void>,
): Cases {
  return Object.fromEntries(
    Object.entries(parameters).map(([id, parameter]) => [`${test}[${id}]`, () => run(parameter)]),
  );
}

function each(test: string, ids: readonly string[]): readonly string[] {
  return ids.map((id) => `${test}[${id}]`);
}
