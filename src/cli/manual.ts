import type { Command, Option } from 'commander';

/*
 * Manual pages and shell completion, made of the very tree of commands that --help shows: there is one
 * source for all of them.
 */

/** All commands that do something, with their words: `weft network create`. */
export function leaves(command: Command, before = ''): { path: string; command: Command }[] {
  const path = `${before}${command.name()}`;
  if (command.commands.length === 0) return [{ path, command }];
  return command.commands.flatMap((child) => leaves(child, `${path} `));
}

/** Text for roff(7): what would be a request or an escape is none. */
function roff(text: string): string {
  return text
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/^(['.])/gm, '\\&$1');
}

const paragraph = (title: string, ...lines: readonly string[]): string[] => [
  `.SH ${title}`,
  ...lines,
];

const tagged = (tag: string, text: string): string[] => ['.TP', `.B ${roff(tag)}`, roff(text)];

const optionLines = (options: readonly Option[]): string[] =>
  options.flatMap(({ flags, description }) => tagged(flags, description));

function commandLines(path: string, command: Command): string[] {
  const helper = command.createHelp();
  const own = helper.visibleOptions(command).filter(({ long }) => long !== '--help');
  const argumentLines = command.registeredArguments.flatMap((argument) =>
    tagged(argument.name(), argument.description),
  );
  return [
    `.SS ${roff(`${path} ${command.usage()}`)}`,
    roff(`${command.description()}.`),
    ...argumentLines,
    ...optionLines(own),
  ];
}

function heading(name: string, section: number, version: string): string {
  return `.TH ${name.toUpperCase()} ${section} "" "weft ${version}" "Weft"`;
}

/** weft(1). */
export function manPage(program: Command, version: string): string {
  const global = program.createHelp().visibleOptions(program);
  return [
    heading('weft', 1, version),
    ...paragraph('NAME', `weft \\- ${roff(program.description())}`),
    ...paragraph('SYNOPSIS', '.B weft', roff('[--socket PATH] COMMAND [ARGUMENT...] [OPTION...]')),
    ...paragraph('OPTIONS', ...optionLines(global)),
    ...paragraph(
      'COMMANDS',
      ...leaves(program).flatMap((each) => commandLines(each.path, each.command)),
    ),
    ...paragraph(
      'EXIT STATUS',
      ...tagged('0', 'done'),
      ...tagged('1', 'failed'),
      ...tagged('2', 'wrong usage, found before a daemon was asked'),
      ...tagged('3', 'no daemon answers'),
    ),
    ...paragraph('SEE ALSO', '.BR weftd.conf (5)'),
    '',
  ].join('\n');
}

/** weftd.conf(5): the settings of `weft up`, which its flags have as well. */
export function configManPage(program: Command, version: string): string {
  const up = program.commands.find((command) => command.name() === 'up');
  const options = [...(up?.options ?? []), ...program.options].filter(
    ({ long }) => !['--config', '--version'].includes(long ?? ''),
  );
  const example = '{ "listen": "192.0.2.1:7783", "join": ["host-b", "host-c"] }';
  return [
    heading('weftd.conf', 5, version),
    ...paragraph('NAME', 'weftd.conf \\- settings of the Weft daemon'),
    ...paragraph(
      'DESCRIPTION',
      roff(
        'One JSON object and no comments. "weft up" reads the file that --config or WEFT_CONFIG names; the service of the Debian package reads /etc/weft/weftd.conf. Unknown keys are refused. A variable of the environment (WEFT_ and the key in capitals, such as WEFT_STATE_DIR) wins over the file, and a flag over both. Settings that may be repeated are lists of strings.',
      ),
    ),
    ...paragraph(
      'SETTINGS',
      ...options.flatMap((option) => tagged(option.attributeName(), option.description)),
    ),
    ...paragraph('EXAMPLE', '.nf', roff(example), '.fi'),
    ...paragraph('SEE ALSO', '.BR weft (1)'),
    '',
  ].join('\n');
}

const words = (command: Command): string[] => [
  ...command.commands.map((child) => child.name()),
  ...command.options.flatMap(({ long }) => (long ? [long] : [])),
];

/** `weft`, `weft network`, `weft network create`, and so on. */
function everyCommand(command: Command, before = ''): { path: string; command: Command }[] {
  const path = `${before}${command.name()}`;
  return [
    { path, command },
    ...command.commands.flatMap((child) => everyCommand(child, `${path} `)),
  ];
}

/** Completion for bash(1): commands and flags by what stands before the cursor. */
export function bashCompletion(program: Command): string {
  const global = program.options.flatMap(({ long }) => (long ? [long] : []));
  const cases = everyCommand(program).map(
    ({ path, command }) =>
      `    '${path}') words='${[...new Set([...words(command), ...global, '--help'])].join(' ')}' ;;`,
  );
  return `# Completion of weft(1). Made from its commands.
_weft() {
  local at=weft word words='' index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    case " ${everyCommand(program)
      .map(({ path }) => path.replaceAll(' ', '_'))
      .join(' ')} " in
      *" \${at// /_}_$word "*) at="$at $word" ;;
    esac
  done
  case "$at" in
${cases.join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _weft weft
`;
}

/** The same for zsh(1), which understands bash's by a module of its own. */
export function zshCompletion(program: Command): string {
  return `#compdef weft\nautoload -U +X bashcompinit && bashcompinit\n${bashCompletion(program)}`;
}
