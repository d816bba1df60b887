import { readFileSync, writeFileSync } from 'node:fs';
import type { Argument, Command } from 'commander';
import { expect, test } from 'vitest';
import { createWholeProgram } from '../../src/cli/boot-admin/program.ts';

const FILE = 'docs/boot-admin.md';
const TABLE = '| command | does |';

test('docs/boot-admin.md lists every command with its options', async () => {
  const written = readFileSync(FILE, 'utf8');
  const [introduction = ''] = written.split(TABLE);
  const right = `${introduction}${describeCommands(await createWholeProgram())}\n`;
  if (process.env.UPDATE_DOCS === '1') writeFileSync(FILE, right);
  expect(readFileSync(FILE, 'utf8')).toBe(right);
});

test('every command says in words what it does and what it takes', async () => {
  for (const command of leavesOf(await createWholeProgram())) {
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
    const options = command.options.map(
      ({ flags, description }) => `<br>\`${flags}\`: ${inCell(description)}`,
    );
    return `| \`${nameOf(command)}\` | ${inCell(command.description())}${options.join('')} |`;
  });
  return [TABLE, '| --- | --- |', ...rows].join('\n');
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
