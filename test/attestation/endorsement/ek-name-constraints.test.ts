import { describe, expect, it } from 'vitest';
import { nameConstraintBreach, readNameConstraints } from '../../../src/attestation/x509/name-constraints.ts';
import { readDer, TAG } from '../../../src/attestation/x509/x509-der.ts';
import { readGeneralNames, readName } from '../../../src/attestation/x509/x509-names.ts';
import { asciiBytes, concatBytes, EMPTY } from '../../../src/core/bytes.ts';

const der = (tag: number, ...parts: Uint8Array[]): Uint8Array => {
  const content = concatBytes(...parts);
  return concatBytes(Uint8Array.of(tag, content.length), content);
};
const email = (text: string) => der(0x81, asciiBytes(text));
const dns = (text: string) => der(0x82, asciiBytes(text));
const uri = (text: string) => der(0x86, asciiBytes(text));
const ip = (...bytes: number[]) => der(0x87, Uint8Array.from(bytes));
const other = der(0xa0, Uint8Array.of(0x06, 0x03, 0x2a, 0x03, 0x04));
const registeredId = der(0x88, Uint8Array.of(0x2a, 0x03));
/** Country, organization, common name: as many as given, one RDN each. */
const nameOf = (values: string[], stringTag = 0x13) =>
  der(
    0x30,
    ...values.map((value, index) =>
      der(
        0x31,
        der(0x30, Uint8Array.of(0x06, 3, 0x55, 4, [6, 10, 3][index] ?? 3), der(stringTag, asciiBytes(value))),
      ),
    ),
  );
const directory = (values: string[], stringTag?: number) => der(0xa4, nameOf(values, stringTag));

const subtrees = (bases: Uint8Array[]) => bases.map((base) => der(0x30, base));
const constraintsOf = (permitted: Uint8Array[], excluded: Uint8Array[] = []) =>
  readNameConstraints(
    der(
      0x30,
      permitted.length > 0 ? der(0xa0, ...subtrees(permitted)) : EMPTY,
      excluded.length > 0 ? der(0xa1, ...subtrees(excluded)) : EMPTY,
    ),
  );
const subjectOf = (names: Uint8Array[], subject: Uint8Array = nameOf([])) => ({
  subjectName: readName(readDer(subject, TAG.sequence)),
  alternativeNames: names.length === 0 ? [] : readGeneralNames(der(0x30, ...names)),
});
const isPermitted = (base: Uint8Array, name: Uint8Array) =>
  nameConstraintBreach(constraintsOf([base]), subjectOf([name])) === undefined;
const isExcluded = (base: Uint8Array, name: Uint8Array) =>
  nameConstraintBreach(constraintsOf([], [base]), subjectOf([name])) !== undefined;

describe('name constraints (RFC 5280, section 4.2.1.10)', () => {
  it.each<[string, Uint8Array, Uint8Array, boolean]>([
    ['dns: the name itself', dns('example.com'), dns('EXAMPLE.com'), true],
    ['dns: below it', dns('example.com'), dns('a.b.example.com'), true],
    ['dns: a wildcard below it', dns('example.com'), dns('*.example.com'), true],
    ['dns: everything', dns(''), dns('example.org'), true],
    ['dns: only the same ending', dns('example.com'), dns('badexample.com'), false],
    ['email: that mailbox', email('a@example.com'), email('a@EXAMPLE.com'), true],
    ['email: another mailbox', email('a@example.com'), email('A@example.com'), false],
    ['email: that host', email('example.com'), email('a@example.com'), true],
    ['email: a host below it', email('example.com'), email('a@x.example.com'), false],
    ['email: a domain', email('.example.com'), email('a@x.example.com'), true],
    ['email: not the domain itself', email('.example.com'), email('a@example.com'), false],
    ['uri: that host', uri('example.com'), uri('https://u@example.com:80/p?q'), true],
    ['uri: a host below it', uri('example.com'), uri('https://x.example.com'), false],
    ['uri: a domain', uri('.example.com'), uri('ftp://x.example.com/'), true],
    ['ip: in range', ip(10, 0, 0, 0, 255, 0, 0, 0), ip(10, 9, 8, 7), true],
    ['ip: out of range', ip(10, 0, 0, 0, 255, 0, 0, 0), ip(11, 9, 8, 7), false],
    ['ip: IPv6', ip(...Array(32).fill(0)), ip(...Array(16).fill(1)), true],
    ['ip: of the other family', ip(...Array(32).fill(0)), ip(10, 9, 8, 7), false],
    ['directory: below it', directory(['TW', 'Maker']), directory(['TW', 'Maker', 'EK']), true],
    [
      'directory: in other letters',
      directory(['TW', 'Maker']),
      directory(['tw', '  maker ', 'EK'], 0x0c),
      true,
    ],
    ['directory: beside it', directory(['TW', 'Maker']), directory(['TW', 'Other', 'EK']), false],
    ['directory: above it', directory(['TW', 'Maker']), directory(['TW']), false],
  ])('%s', (_name, base, name, inside) => {
    expect(isPermitted(base, name)).toBe(inside);
    expect(isExcluded(base, name)).toBe(inside);
  });

  it.each<[string, Uint8Array, Uint8Array]>([
    ['an unknown form', other, other],
    ['a registered id', registeredId, registeredId],
    ['a broken DNS name', dns('example.com'), dns('a..example.com')],
    ['a DNS constraint with a leading dot', dns('.example.com'), dns('a.example.com')],
    ['a mailbox without a host', email('example.com'), email('a')],
    ['a mailbox with two hosts', email('a@example.com'), email('a@example.com@b')],
    ['a mailbox constraint that is no host', email('a b'), email('a@example.com')],
    ['a URI with an address as host', uri('example.com'), uri('https://10.0.0.1/')],
    ['a URI without a host', uri('example.com'), uri('urn:a:b')],
    ['an address of five bytes', ip(10, 0, 0, 0, 255, 0, 0, 0), ip(10, 0, 0, 1, 2)],
  ])('refuse what they cannot judge, permitted or excluded: %s', (_name, base, name) => {
    expect(isPermitted(base, name)).toBe(false);
    expect(isExcluded(base, name)).toBe(true);
  });

  it('say nothing about names of other forms', () => {
    expect(isPermitted(dns('example.com'), email('a@example.org'))).toBe(true);
    expect(isExcluded(other, registeredId)).toBe(false);
  });

  it('hold for the subject, and for an e-mail address in it when nothing else has one', () => {
    const breach = (names: Uint8Array[], subject: Uint8Array) =>
      nameConstraintBreach(
        constraintsOf([directory(['TW']), email('example.com')]),
        subjectOf(names, subject),
      );
    expect(breach([], nameOf([]))).toBeUndefined();
    expect(breach([], nameOf(['TW', 'Maker']))).toBeUndefined();
    expect(breach([], nameOf(['US', 'Maker']))).toBe('the name US, Maker is not permitted');
    const attribute = (text: string) =>
      der(
        0x31,
        der(
          0x30,
          Uint8Array.of(6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1),
          der(0x16, asciiBytes(text)),
        ),
      );
    const withEmail = (text: string) => der(0x30, nameOf(['TW']).subarray(2), attribute(text));
    expect(breach([], withEmail('a@example.com'))).toBeUndefined();
    expect(breach([], withEmail('a@example.org'))).toBe('the name a@example.org is not permitted');
    expect(breach([email('b@example.com')], withEmail('a@example.org'))).toBeUndefined();
  });

  it('name what breaks them', () => {
    const breach = (base: Uint8Array, name: Uint8Array) =>
      nameConstraintBreach(constraintsOf([], [base]), subjectOf([name]));
    expect(breach(ip(10, 0, 0, 0, 255, 0, 0, 0), ip(10, 1, 2, 3))).toBe('the address 10.1.2.3 is excluded');
    expect(breach(other, other)).toBe('a name of the form 0xa0 is excluded');
  });

  it.each<[string, Uint8Array]>([
    ['nothing', der(0x30)],
    ['an empty list', der(0x30, der(0xa0))],
    ['both twice', der(0x30, der(0xa1, ...subtrees([other])), der(0xa0, ...subtrees([other])))],
    ['a minimum', der(0x30, der(0xa0, der(0x30, dns('a'), der(0x80, Uint8Array.of(1)))))],
    ['an address without a mask', der(0x30, der(0xa0, ...subtrees([ip(10, 0, 0, 0)])))],
    ['a mask with a hole', der(0x30, der(0xa0, ...subtrees([ip(10, 0, 0, 0, 255, 0, 255, 0)])))],
    ['an unknown tag', der(0x30, der(0xa0, ...subtrees([der(0x99)])))],
    ['letters beyond IA5', der(0x30, der(0xa0, ...subtrees([der(0x82, Uint8Array.of(0xe9))])))],
  ])('are not read with %s', (_name, bytes) => {
    expect(() => readNameConstraints(bytes)).toThrow(expect.objectContaining({ code: 'der-invalid' }));
  });
});
