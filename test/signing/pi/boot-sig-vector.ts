import { createPublicKey } from 'node:crypto';

// Written by rpi-eeprom-digest of raspberrypi/rpi-eeprom, commit 86759b04b22173e10186139ac3ae4debcd0d7252, as
// `SOURCE_DATE_EPOCH=1790000000 rpi-eeprom-digest [-c 2712] -k key.pem -i boot.img -o boot.sig`, with a key that
// was deleted afterwards.

export const IMAGE = Buffer.from('a boot.img for the vector\n');
export const TIME_SECONDS = 1_790_000_000;

export const PUBLIC_KEY = createPublicKey({
  key: Buffer.from(
    [
      'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA39ANq6SwYPXdTk2Yq/LMKrr1MqWcP7df9HlKaxDTlgoT3XV8KQhYMUii',
      'X9ZcTNRbQFsgXUgyekfYy1CB6/Xj67E453rQ6r4oU0lF+tRxvireJaS+cRNjKer/YcijQigHJ+oNcVW/BQZQsSZy9Vw+GCaZ1Klv',
      '48zjXOztRf1IrnNeaEm7fKDyaTE9+T3H/lH8yJvaCtiaOhaJUwWMjyutS+NN1/v587ARd/fI48h1xsBzyzpIFIwFJRoZzbqlhTF0',
      'AtD48RAvtsaOqKc+Gn2pz+1GilzrAPFMvs4sjm1Pf9Vt0hec0zNCE6R37Rr6TNRuEPD0irngnHixLCKRLTRlPQIDAQAB',
    ].join(''),
    'base64',
  ),
  format: 'der',
  type: 'spki',
});

export const SIGNATURE_HEX = [
  '9b73bd0eea5f4c8f906c62f22751a27b50ecc5cc53b38e027b7ab1b67a6a96be4ae62bf47972e4e4b1c18ba32bc22da36b0b',
  '055cd1127cb00702ee698960c8419095a312b84bc15645b1ac69e3e64ca63843bb9b14425429ee6bedc1a5390370bed3b10a',
  '449008ae55b030d78bbc4360419afa90874883d53ae0e34c0a60c5c3737be191dce86c212ddd15dc9f0af6cf50bfd53c2949',
  'ab71b83e74000e41bca5f977c99def461a259a5e7e5d51a52bbb2879f8a95b4fc4ca710de2e00518db18329a39990d05a10a',
  '86936ae2794ce41f4540705a358b1cbce0b1e2e74ed8e522f02a40204525f8ca44eb956a6464f82bccda42dd962857deac82',
  '7d3bbf86b155',
].join('');

const DIGEST = '1fb5b48c8655ff24980d6c448b6792a5738a92b4f3ca166cd196d2a679a4c4f9';

export const BOOT_SIG = `${DIGEST}\nts: 1790000000\nrsa2048: ${SIGNATURE_HEX}\n`;
/** With `-c 2712`. */
export const BOOT_SIG_2712 = `${DIGEST}\nts: 1790000000\ntarget-soc: 2712\nrsa2048: ${SIGNATURE_HEX}\n`;
