import { namesPath } from '../lib/options/rows.js';
import {
  helpRow,
  listMounts,
  madeBy,
  offeredValues,
  outputRows,
  sourceRows,
  type CommandForm,
  type ProgramForm,
} from './command-line.js';

const outputFlags = [...outputRows.map(({ flag }) => flag), helpRow.flag];
const sourceFlags = sourceRows.map(({ flag }) => flag);

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
  return `# Completion of pinfs(1) for bash: source this file, or put it where bash-completion looks,
# as /usr/share/bash-completion/completions/pinfs.
# ${madeBy}

_pinfs() {
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
    help) options=$commands ;;
  esac
  if [[ $word != -* && $command == umount ]]; then
    local mountpoints
    mountpoints=$(${listMounts})
    mapfile -t COMPREPLY < <(compgen -W "$mountpoints" -- "$word")
  elif [[ $word == -* || $COMP_CWORD == 2 && $command =~ ^(${[...grouped, 'help'].join('|')})$ ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
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
