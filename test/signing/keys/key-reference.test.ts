import { describe, expect, it } from 'vitest';
import { parseKeyReference } from '../../../src/signing/keys/key-reference.ts';

const MODULE = '?module-path=/usr/lib/softhsm/libsofthsm2.so';

describe('a key reference', () => {
  it('names a key file', () => {
    expect(parseKeyReference('file:keys/root 1.key')).toEqual({ kind: 'file', path: 'keys/root 1.key' });
  });

  it('names a program', () => {
    expect(parseKeyReference('hook:/opt/hsm/sign')).toEqual({ kind: 'hook', path: '/opt/hsm/sign' });
  });

  it('names a token and a key in it, as RFC 7512 spells them', () => {
    const text = `pkcs11:token=Release%20keys;serial=12ab;object=r%C3%BCst;id=%01%fe;type=private${MODULE}&pin-source=file:/run/pin`;
    expect(parseKeyReference(text)).toEqual({
      kind: 'pkcs11',
      modulePath: '/usr/lib/softhsm/libsofthsm2.so',
      token: { label: 'Release keys', serial: '12ab' },
      key: { label: 'rüst', id: '01fe' },
      pinFile: '/run/pin',
    });
  });

  it('needs of token and key one name each', () => {
    expect(parseKeyReference(`pkcs11:serial=7;id=A${MODULE}`)).toMatchObject({
      token: { serial: '7' },
      key: { id: '41' },
    });
  });

  it.each([
    ['no kind', 'keys/root.key', 'starts with file:'],
    ['another kind', 'awskms:alias/x', 'starts with file:'],
    ['no path', 'file:', 'followed by a path'],
    ['a URL of a file', 'file:///keys/root.key', 'without "//"'],
    ['a program by a relative path', 'hook:sign.sh', 'absolute'],
    ['a line break', 'file:a\nb', 'control'],
    ['more than 2048 characters', `file:${'a'.repeat(2048)}`, '2048'],
    ['no module', 'pkcs11:token=a;object=b', 'module-path'],
    ['a relative module', 'pkcs11:token=a;object=b?module-path=lib.so', 'absolute'],
    ['no token', `pkcs11:object=b${MODULE}`, 'which token'],
    ['no key', `pkcs11:token=a${MODULE}`, 'which key'],
    ['an attribute that we do not know', `pkcs11:token=a;object=b;slot-id=1${MODULE}`, 'knows only'],
    ['a query that we do not know', `pkcs11:token=a;object=b${MODULE}&max-pin=3`, 'knows only'],
    ['an attribute of the other part', `pkcs11:token=a;object=b${MODULE}&id=1`, 'knows only'],
    ['an attribute twice', `pkcs11:token=a;token=a;object=b${MODULE}`, 'twice'],
    ['an empty value', `pkcs11:token=;object=b${MODULE}`, 'empty'],
    ['no value', `pkcs11:token;object=b${MODULE}`, '"="'],
    ['a trailing separator', `pkcs11:token=a;object=b;${MODULE}`, '"="'],
    ['a half escape', `pkcs11:token=a;object=%4${MODULE}`, 'hex digits'],
    ['a space', `pkcs11:token=a b;object=c${MODULE}`, 'hex digits'],
    ['no UTF-8', `pkcs11:token=%ff;object=c${MODULE}`, 'UTF-8'],
    ['an escaped zero', `pkcs11:token=a%00;object=c${MODULE}`, 'UTF-8'],
    ['a public key', `pkcs11:token=a;object=b;type=public${MODULE}`, 'private'],
    ['two queries', `pkcs11:token=a;object=b${MODULE}?x`, 'one "?"'],
    ['a PIN from a program', `pkcs11:token=a;object=b${MODULE}&pin-source=%7C/bin/pin`, 'file:'],
  ])('is refused with %s', (_, text, reason) => {
    expect(() => parseKeyReference(text)).toThrowError(
      expect.objectContaining({ code: 'key-reference-invalid', message: expect.stringContaining(reason) }),
    );
  });

  it.each(['pin-value', 'PIN-Value', 'x;pin-value'])(
    'with a PIN is refused by name, and the PIN is not repeated: %s',
    (name) => {
      const text = `pkcs11:token=a;object=b${MODULE}&${name}=7391`;
      expect(() => parseKeyReference(text)).toThrowError(
        expect.objectContaining({
          message: expect.stringMatching(/^(?!.*7391).*pin-value.*pin-source=file/s),
        }),
      );
    },
  );
});
