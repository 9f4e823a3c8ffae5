import { namesPath } from '../lib/options/rows.js';
import {
  helpRow,
  listMounts,
  madeBy,
  offeredValues,
  outputRows,
  sourceRows,
  type ArgumentForm,
  type CommandForm,
  type ProgramForm,
} from './command-line.js';

const outputFlags = [...outputRows.map(({ flag }) => flag), helpRow.flag];
const sourceFlags = sourceRows.map(({ flag }) => flag);

const sourcesFunction = `# Words of the settings, and behind an @ tags, as far as this machine knows them.
_pinfs_sources() {
  local line=\${COMP_LINE:0:COMP_POINT}
  local whole=\${line##* } one found
  [[ $whole == */* && $whole != *@* ]] && return
  mapfile -t found < <("\${COMP_WORDS[0]}" completion bash --line "$line" 2>/dev/null)
  # What stands in front of the last @ or : is another word to readline.
  local front=\${whole%"$1"}
  [[ $1 == @ ]] && front=$whole
  for one in "\${found[@]}"; do
    [[ $one == "$whole"* ]] && COMPREPLY+=("\${one#"$front"}")
  done
  # A pin may follow.
  [[ $whole == *@* ]] || compopt -o nospace 2>/dev/null
}

`;

/** What takes one of some words. */
function wordBranches(commands: readonly CommandForm[]): string {
  return commands
    .flatMap((command) => command.arguments.map(({ words: offered }) => ({ command, offered })))
    .filter(({ offered }) => offered.length > 0)
    .map(({ command: { words }, offered }) => {
      const name = words[0] ?? '';
      const more = name === 'help' ? '$commands ' : '';
      return `  elif [[ $command == ${name} ]]; then
    mapfile -t COMPREPLY < <(compgen -W "${more}${offered.join(' ')}" -- "$word")`;
    })
    .join('\n');
}

/** Completion for bash. */
export function bashCompletion({ commands, groups }: ProgramForm): string {
  const names = [...new Set([...commands.map(({ words }) => words[0] ?? ''), 'help'])];
  const grouped = groups.map(({ name }) => name);
  const rows = commands.flatMap(({ options }) => options);
  const lists = new Map(
    rows.flatMap((row) => {
      const values = offeredValues(row);
      return values === undefined ? [] : [[row.flag, values.join(' ')]];
    }),
  );
  // After the others files are offered.
  const bare = rows.filter(
    (row) => row.kind !== 'flag' && !namesPath(row) && !lists.has(row.flag) && row.flag !== '-o',
  );
  const those = (completion: ArgumentForm['completion']): string => {
    const having = commands.filter((one) =>
      one.arguments.some((it) => it.completion === completion),
    );
    const names = new Set(having.map(({ words }) => words[0] ?? ''));
    return [...names, ...(names.has('umount') ? ['unmount'] : [])].join('|');
  };
  const wordLines = wordBranches(commands);
  return `# Completion of pinfs(1) for bash: source this file, or put it where bash-completion looks,
# as /usr/share/bash-completion/completions/pinfs.
# ${madeBy}

${sourcesFunction}_pinfs() {
  local commands='${names.join(' ')}'
  local output='${outputFlags.join(' ')}'
  local source="$output ${sourceFlags.join(' ')}"
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command=\${COMP_WORDS[1]} options=
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$commands --version --help" -- "$word")
    return
  fi
  case $before in
${[...lists].map(([flag, words]) => `    ${flag}) mapfile -t COMPREPLY < <(compgen -W '${words}' -- "$word") && return ;;`).join('\n')}
    ${[...new Set(bare.map(({ flag }) => flag))].join(' | ')}) return ;;
  esac
  case $command in
${commands
  .filter(({ words }) => words.length === 1)
  .map((command) => `    ${command.words[0] ?? ''}) options=${optionsOf(command)} ;;`)
  .join('\n')}
${grouped.map((name) => groupLine(name, commands)).join('\n')}
  esac
  if [[ $word == -* || $COMP_CWORD == 2 && $command =~ ^(${grouped.join('|')})$ ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  elif [[ $command =~ ^(${those('mounts')})$ ]]; then
    local mountpoints
    mountpoints=$(${listMounts})
    mapfile -t COMPREPLY < <(compgen -W "$mountpoints" -- "$word")
${wordLines}
  elif [[ $command =~ ^(${those('sources')})$ ]]; then
    _pinfs_sources "$word"
  fi
}

# Where it gives nothing, files are offered.
complete -o default -F _pinfs pinfs
`;
}

function groupLine(name: string, commands: readonly CommandForm[]): string {
  const below = commands.filter(({ words }) => words[0] === name);
  const words = below.map((command) => command.words[1] ?? '');
  const cases = below.map(
    (command) => `      ${command.words[1] ?? ''}) options=${optionsOf(command)} ;;`,
  );
  return `    ${name}) case \${COMP_WORDS[2]} in
${cases.join('\n')}
      *) options='${words.join(' ')}' ;;
    esac ;;`;
}

/** A word of bash with all flags of a command. */
function optionsOf({ options }: CommandForm): string {
  const flags = new Set(options.map(({ flag }) => flag));
  const isSource = sourceFlags.every((flag) => flags.has(flag));
  const [name, known] = isSource
    ? ['$source', [...outputFlags, ...sourceFlags]]
    : ['$output', outputFlags];
  const own = [...flags].filter((flag) => !(known as string[]).includes(flag));
  const words = [name, ...own];
  return words.length === 1 ? name : `"${words.join(' ')}"`;
}
