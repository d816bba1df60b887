import type { Command } from 'commander';
import { print } from './output.ts';

export function register(completion: Command): void {
  completion
    .command('bash')
    .description('print what makes bash complete commands and options: source <(boot-admin completion bash)')
    .action((_options, command: Command) => print(bashScript(command.parent?.parent ?? command)));
}

/** The noun, then its command, then options; everything else is a file for all that we know. */
function bashScript(program: Command): string {
  const nouns = program.commands.map((noun) => {
    const commands = noun.commands.map((command) => command.name()).join(' ');
    return `    ${noun.name()}) commands='${commands}' options='${optionsOf(program, noun, ...noun.commands)}' ;;`;
  });
  return `_boot_admin() {
  local current=\${COMP_WORDS[COMP_CWORD]} commands='' options='${optionsOf(program)}'
  case \${COMP_WORDS[1]} in
${nouns.join('\n')}
  esac
  if [ "$COMP_CWORD" = 1 ]; then commands='${program.commands.map((noun) => noun.name()).join(' ')}'
  elif [ "$COMP_CWORD" -gt 2 ]; then commands=''; fi
  case $current in -*) commands=$options ;; esac
  COMPREPLY=($(compgen -W "$commands" -- "$current"))
}
complete -o default -F _boot_admin boot-admin`;
}

function optionsOf(...commands: readonly Command[]): string {
  const flags = commands.flatMap(({ options }) => options.map(({ long }) => long ?? ''));
  return [...new Set(flags)].filter((flag) => flag !== '').join(' ');
}
