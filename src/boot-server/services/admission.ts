import type {
  AttestationStore,
  EnrolmentRecord,
  PendingCredential,
} from '../../attestation/attestation-store.ts';
import { verifyEkTemplate } from '../../attestation/keys/ek-template.ts';
import type { NodeRecord } from '../../attestation/node.ts';
import { parseTpmtPublic } from '../../tpm/public-area.ts';
import type { EnrolmentTokenService } from './enrolment-tokens.ts';

export interface Standing extends Pick<NodeRecord, 'status' | 'admission' | 'channel'> {
  /** Hex SHA-256 of the token that this admission spends. */
  tokenSha256?: string;
}

/** Whether the policy in force for a channel admits every certified TPM. */
export type OpenChannelQuery = (channel: string) => Promise<boolean>;

export interface AdmissionService {
  isListed(eks: readonly { fingerprint: string }[]): Promise<boolean>;
  /**
   * Identity and admission are two facts; being certified admits nobody but to a channel that was opened
   * (P14). The list goes before the token, which then stays good, and the token before the open channel.
   *
   * @throws {Problem} token-refused: a token that does not admit leads to no silent wait
   */
  decide(enrolment: EnrolmentRecord, known: NodeRecord | undefined): Promise<Standing>;
}

export function createAdmissionService(on: {
  store: AttestationStore;
  tokens: EnrolmentTokenService;
  isOpenChannel: OpenChannelQuery;
  defaultChannel: string;
}): AdmissionService {
  async function findListed(eks: readonly { fingerprint: string }[]) {
    for (const { fingerprint } of eks) {
      const listed = await on.store.findListedEk(fingerprint);
      if (listed !== undefined) return listed;
    }
    return undefined;
  }

  return {
    async isListed(eks) {
      return (await findListed(eks)) !== undefined;
    },

    async decide({ credentials, tokenSha256 }, known) {
      if (known?.status === 'enrolled')
        return { status: 'enrolled', admission: known.admission, channel: known.channel };
      const listed = await findListed(credentials);
      if (listed !== undefined) return { status: 'enrolled', admission: 'listed', channel: listed.channel };
      if (tokenSha256 !== undefined) {
        const { channel } = await on.tokens.require(tokenSha256);
        return { status: 'enrolled', admission: 'token', channel, tokenSha256 };
      }
      const channel = on.defaultChannel;
      if (
        credentials.every(isCertified) &&
        credentials.some(isOneOfAKind) &&
        (await on.isOpenChannel(channel))
      )
        return { status: 'enrolled', admission: 'open', channel };
      return { status: 'pending', admission: 'pending', channel };
    },
  };
}

function isCertified({ identity }: PendingCredential): boolean {
  return identity === 'certified';
}

/**
 * Every TPM has the RSA-2048 EK of the low range, and one of them. Who must show it cannot come back as another
 * node with one of its other EKs (P9).
 */
function isOneOfAKind({ publicArea }: PendingCredential): boolean {
  return verifyEkTemplate(parseTpmtPublic(publicArea)).name === 'L-1';
}
