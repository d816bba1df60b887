import type { Command } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** A script that completes a program's commands and options; what is neither is a file for all that we know. */
export function completionScript(program: Command, shell: Shell): string {
  switch (shell) {
    case 'bash':
      return bashScript(program);
    case 'zsh':
      return `autoload -Uz bashcompinit && bashcompinit\n${bashScript(program)}`;
    case 'fish':
      return fishScript(program);
  }
}

function bashScript(program: Command): string {
  const functionName = `_${program.name().replaceAll('-', '_')}`;
  const cases = program.commands.map((command) => {
    const names = command.commands.map((child) => child.name()).join(' ');
    return `    ${command.name()}) commands='${names}' options='${optionsOf(program, command, ...command.commands)}' ;;`;
  });
  return `${functionName}() {
  local current=\${COMP_WORDS[COMP_CWORD]} commands='' options='${optionsOf(program)}'
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
  if [ "$COMP_CWORD" = 1 ]; then commands='${namesOf(program)}'
  elif [ "$COMP_CWORD" -gt 2 ]; then commands=''; fi
  case $current in -*) commands=$options ;; esac
  COMPREPLY=($(compgen -W "$commands" -- "$current"))
}
complete -o default -F ${functionName} ${program.name()}`;
}

function fishScript(program: Command): string {
  const name = program.name();
  const first = program.commands.map(
    (command) => `complete -c ${name} -n __fish_use_subcommand -f -a ${command.name()} -d ${quoted(command)}`,
  );
  const deeper = program.commands.flatMap((command) => [
    ...command.commands.map(
      (child) =>
        `complete -c ${name} -n '__fish_seen_subcommand_from ${command.name()}' -f -a ${child.name()} -d ${quoted(child)}`,
    ),
    ...longOptions(command, ...command.commands).map(
      (option) =>
        `complete -c ${name} -n '__fish_seen_subcommand_from ${command.name()}' -l ${option.slice(2)}`,
    ),
  ]);
  return [...first, ...deeper].join('\n');
}

function quoted(command: Command): string {
  return `'${command.description().replace(/['\\]/g, '\\$&')}'`;
}

function namesOf({ commands }: Command): string {
  return commands.map((command) => command.name()).join(' ');
}

function optionsOf(...commands: readonly Command[]): string {
  return longOptions(...commands).join(' ');
}

function longOptions(...commands: readonly Command[]): readonly string[] {
  const flags = commands.flatMap(({ options }) => options.map(({ long }) => long ?? ''));
  return [...new Set(flags)].filter((flag) => flag !== '');
}
