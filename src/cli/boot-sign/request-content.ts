import { decodeAdoption } from '../../boot-signer/adoption-document.ts';
import {
  decodeEfiImage,
  decodePiBootImage,
  type ImageType,
  isImageType,
} from '../../boot-signer/image-documents.ts';
import { bytesEqual } from '../../core/bytes.ts';
import { layoutOf } from '../../signing/repository/layout.ts';
import { loadMetadata, trustedMetadata } from '../../signing/repository/metadata-folder.ts';
import { describeContent, describeProposal } from '../../signing/tuf/describe-proposal.ts';
import { type Draft, parseDraft, unsignedFile } from '../../signing/tuf/draft.ts';
import { describeOutdated } from '../../signing/tuf/finish-proposal.ts';
import { rootFile } from '../../signing/tuf/root.ts';
import { verifyMetadata } from '../../signing/tuf/verify-metadata.ts';
import { describeVersions } from './adopt.ts';
import { type ShownRequest, SigningServiceError } from './signing-service-client.ts';

export interface ContentOptions {
  readonly repository?: string;
}

/**
 * What a person looks at before they approve: all that the file would say, or with a repository of their own
 * what it would change.
 *
 * @throws {SigningServiceError | TufError} when the text is not what the request says that it is
 */
export async function describeRequest(
  request: ShownRequest,
  signed: string,
  { repository }: ContentOptions,
): Promise<readonly string[]> {
  if (request.type === 'adoption') return describeAdoption(signed, repository);
  if (isImageType(request.type)) return describeImage(request.type, signed);
  const draft = draftOf(request, signed);
  if (repository === undefined) return describeContent(draft);
  const current = trustedMetadata(await loadMetadata(layoutOf(repository)));
  const drafts = [draft];
  return isOnline(draft)
    ? describeContent(draft)
    : [...describeOutdated({ drafts }, current), ...describeProposal({ drafts }, current)];
}

/** What the key would sign, and nothing else: `boot-sign predict` and sha256sum show the same of a file. */
function describeImage(type: ImageType, signed: string): readonly string[] {
  const image = type === 'efi-image' ? decodeEfiImage(signed) : decodePiBootImage(signed);
  const members = Object.entries(image).map(([member, value]) => `  ${member} ${value}`);
  return [`sign the ${type === 'efi-image' ? 'EFI image' : 'boot.img of a Raspberry Pi'}`, ...members];
}

/** All versions, and whether root is the one of a repository of their own. */
async function describeAdoption(signed: string, repository: string | undefined): Promise<readonly string[]> {
  const files = decodeAdoption(signed);
  const own = repository === undefined ? undefined : await loadMetadata(layoutOf(repository));
  const trustedRoot = own?.trustedRoot ?? files.get(rootFile(1)) ?? refuse('there is no root in the request');
  const trusted = verifyMetadata({ trustedRoot, files, nowMs: 0 });
  const whose = own === undefined ? 'by its own first root' : 'by the first root of your repository';
  return [`the service would go on from these, verified ${whose}:`, ...describeVersions(trusted)];
}

/** Read by the role's own reader: an approval names role and version, so the text must be theirs. */
function draftOf({ type, role, version }: ShownRequest, signed: string): Draft {
  if (type !== 'metadata') return refuse(`this boot-sign cannot show a request of type ${type}`);
  const canonical = Buffer.from(signed, 'latin1');
  const draft = parseDraft(role, unsignedFile(canonical));
  if (draft.version !== version || !bytesEqual(draft.canonical, canonical))
    return refuse(`the text is not ${role} version ${version} in canonical form`);
  return draft;
}

function isOnline({ role }: Draft): boolean {
  return role === 'snapshot' || role === 'timestamp';
}

function refuse(message: string): never {
  throw new SigningServiceError('signing-service-answer-invalid', message);
}
