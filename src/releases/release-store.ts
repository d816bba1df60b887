/** One metadata file of the published repository, by its TUF file name. */
export interface MetadataFile {
  name: string;
  bytes: Uint8Array;
}

/** What a stage-0 image leaves in the TPM, as computed when it was published; digests hex. */
export interface Stage0ImageRecord {
  sha256: string;
  build: number;
  architecture: string;
  pcr4SecureBoot: string;
  pcr4NoSecureBoot?: string;
  pcr11: string;
  /** When a publication stopped listing it. */
  withdrawnAtSeconds?: number;
  /** Base64, of the last listing that had one: nodes keep the record that it pins for as long as they live. */
  floorKey?: string;
}

/**
 * The published repository. `publish` is one durable transaction: readers see the whole of the old
 * metadata or the whole of the new, also after a crash. Metadata of earlier versions stays readable.
 */
export interface ReleaseStore {
  loadMetadata(): Promise<{ files: MetadataFile[]; publishedAtSeconds: number } | undefined>;
  /** Every stage-0 image that was ever listed here. */
  loadStage0Images(): Promise<Stage0ImageRecord[]>;
  /** Of {@link keepRoots}, since the last publication. */
  loadKeptRoots(): Promise<MetadataFile[]>;
  /** One durable transaction; nothing that is in force changes. */
  keepRoots(kept: { files: readonly MetadataFile[]; atSeconds: number }): Promise<void>;
  /** The kept roots are forgotten: the publication has them all. */
  publish(publication: {
    files: readonly MetadataFile[];
    /** New ones. */
    stage0Images: readonly Stage0ImageRecord[];
    /** SHA-256 of every image that is listed now; all others are withdrawn. */
    listedStage0: readonly string[];
    /** By the image's SHA-256; what is not named keeps the key that it had. */
    floorKeys: ReadonlyMap<string, string>;
    atSeconds: number;
  }): Promise<void>;
}
