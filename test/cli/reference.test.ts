import { readFileSync, writeFileSync } from 'node:fs';
import type { Argument, Command, Option } from 'commander';
import { expect, test } from 'vitest';
import { createWholeProgram } from '../../src/cli/boot-admin/program.ts';
import { createProgram } from '../../src/cli/boot-sign/program.ts';

const TABLE = '| command | does |';

/** Each program has one page. */
const PROGRAMS: readonly [string, () => Promise<Command>][] = [
  ['boot-admin', createWholeProgram],
  ['boot-sign', async () => createProgram()],
];

test.each(PROGRAMS)('docs/%s.md lists every command with its options', async (name, create) => {
  const file = `docs/${name}.md`;
  const written = readFileSync(file, 'utf8');
  const [introduction = ''] = written.split(TABLE);
  const right = `${introduction}${describeCommands(await create())}\n`;
  if (process.env.UPDATE_DOCS === '1') writeFileSync(file, right);
  expect(readFileSync(file, 'utf8')).toBe(right);
});

test.each(PROGRAMS)('every command of %s says in words what it does and what it takes', async (_, create) => {
  for (const command of leavesOf(await create())) {
    const texts = [command, ...command.registeredArguments, ...command.options].map((part) =>
      typeof part.description === 'function' ? part.description() : part.description,
    );
    for (const text of texts) expect(text, nameOf(command)).toMatch(/^\S.*[^.]$/);
  }
});

function leavesOf(program: Command): Command[] {
  return program.commands.flatMap((noun) => (noun.commands.length === 0 ? [noun] : noun.commands));
}

function describeCommands(program: Command): string {
  const rows = leavesOf(program).map((command) => {
    const options = command.options
      .filter(isOfItsOwn)
      .map(({ flags, description }) => `<br>\`${flags}\`: ${inCell(description)}`);
    return `| \`${nameOf(command)}\` | ${inCell(command.description())}${options.join('')} |`;
  });
  return [TABLE, '| --- | --- |', ...rows].join('\n');
}

/** The others are told of once, above the table. */
function isOfItsOwn({ long }: Option): boolean {
  return long === undefined || !['--output', '--passphrase-file', '--passphrase-fd'].includes(long);
}

function nameOf(command: Command): string {
  const noun = command.parent?.parent ? [command.parent.name()] : [];
  return [...noun, command.name(), ...command.registeredArguments.map(wordOf)].join(' ');
}

function wordOf(argument: Argument): string {
  const word = `${argument.name().toUpperCase()}${argument.variadic ? ' …' : ''}`;
  return argument.required ? word : `[${word}]`;
}

function inCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}
