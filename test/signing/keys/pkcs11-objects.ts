import pkcs11 from 'pkcs11js';

// What softhsm2-util cannot do, in a process of its own: within one process sessions share a login.

export type ObjectRequest = { token: string; pin: string; label: string } & (
  | { op: 'destroy'; objectClass: number }
  | { op: 'generate'; id: string; extractable: boolean }
  | { op: 'certificate'; id: string; der: string }
  | { op: 'rename'; to: { label: string; id: string } }
);

const P256 = Buffer.from('06082a8648ce3d030107', 'hex');
const request = JSON.parse(process.argv[2] ?? '') as ObjectRequest;
const module = new pkcs11.PKCS11();
module.load('/usr/lib/softhsm/libsofthsm2.so');
module.C_Initialize();
const slot = module
  .C_GetSlotList(true)
  .find((candidate) => module.C_GetTokenInfo(candidate).label.trimEnd() === request.token);
if (slot === undefined) throw new Error(`no token ${request.token}`);
const session = module.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION);
module.C_Login(session, pkcs11.CKU_USER, request.pin);
perform(request);
module.C_Finalize();

function perform(asked: ObjectRequest): void {
  if (asked.op === 'destroy') destroy(asked);
  if (asked.op === 'generate') generate(asked);
  if (asked.op === 'rename') rename(asked);
  if (asked.op === 'certificate') storeCertificate(asked);
}

function storeCertificate(asked: Extract<ObjectRequest, { op: 'certificate' }>): void {
  module.C_CreateObject(session, [
    { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_CERTIFICATE },
    { type: pkcs11.CKA_CERTIFICATE_TYPE, value: pkcs11.CKC_X_509 },
    { type: pkcs11.CKA_TOKEN, value: true },
    { type: pkcs11.CKA_PRIVATE, value: false },
    { type: pkcs11.CKA_LABEL, value: asked.label },
    { type: pkcs11.CKA_ID, value: Buffer.from(asked.id, 'hex') },
    { type: pkcs11.CKA_SUBJECT, value: Buffer.from('3000', 'hex') },
    { type: pkcs11.CKA_VALUE, value: Buffer.from(asked.der, 'base64') },
  ]);
}

function destroy({ label, objectClass }: Extract<ObjectRequest, { op: 'destroy' }>): void {
  for (const object of find(objectClass, label)) module.C_DestroyObject(session, object);
}

/** The private key alone: its public key stays under the old name. */
function rename({ label, to }: Extract<ObjectRequest, { op: 'rename' }>): void {
  for (const object of find(pkcs11.CKO_PRIVATE_KEY, label))
    module.C_SetAttributeValue(session, object, [
      { type: pkcs11.CKA_LABEL, value: to.label },
      { type: pkcs11.CKA_ID, value: Buffer.from(to.id, 'hex') },
    ]);
}

function find(objectClass: number, label: string): Buffer[] {
  module.C_FindObjectsInit(session, [
    { type: pkcs11.CKA_CLASS, value: objectClass },
    { type: pkcs11.CKA_LABEL, value: label },
  ]);
  const found = module.C_FindObjects(session, 10);
  module.C_FindObjectsFinal(session);
  return found;
}

function generate({ label, id, extractable }: Extract<ObjectRequest, { op: 'generate' }>): void {
  const both = [
    { type: pkcs11.CKA_TOKEN, value: true },
    { type: pkcs11.CKA_LABEL, value: label },
    { type: pkcs11.CKA_ID, value: Buffer.from(id, 'hex') },
  ];
  module.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11.CKM_EC_KEY_PAIR_GEN },
    [...both, { type: pkcs11.CKA_EC_PARAMS, value: P256 }, { type: pkcs11.CKA_VERIFY, value: true }],
    [
      ...both,
      { type: pkcs11.CKA_SIGN, value: true },
      { type: pkcs11.CKA_PRIVATE, value: true },
      { type: pkcs11.CKA_SENSITIVE, value: true },
      { type: pkcs11.CKA_EXTRACTABLE, value: extractable },
    ],
  );
}
