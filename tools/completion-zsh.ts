import type { OptionKind, OptionRow } from '../lib/options/option.js';
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

/** Completion for zsh. */
export function zshCompletion({ commands, groups }: ProgramForm): string {
  const alone = commands.filter(({ words }) => words.length === 1);
  const below = (name: string) => commands.filter(({ words }) => words[0] === name);
  return `#compdef pinfs
# Completion of pinfs(1) for zsh: put it where $fpath leads, as _pinfs.
# ${madeBy}

_pinfs_mounts() {
  local -a mounts
  mounts=(\${(f)"$(${listMounts})"})
  compadd -a mounts
}

# Words of the settings, and behind an @ tags, as far as this machine knows them.
_pinfs_sources() {
  local -a found
  found=(\${(f)"$(pinfs completion zsh --line "$LBUFFER" 2>/dev/null)"})
  compadd -S '' -a found
  _files
}

_pinfs() {
  local -a commands output source
  output=(
${specs([...outputRows, helpRow])}
  )
  source=(
    $output
${specs(sourceRows)}
  )
  if (( CURRENT == 2 )); then
    commands=(
${described([...alone.map(named), ...groups])}
    )
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
${alone.map((command) => branch(command, 4)).join('\n')}
${groups
  .map(
    ({ name }) => `    ${name})
      if (( CURRENT == 2 )); then
        commands=(
${described(below(name).map(named))}
        )
        _describe command commands
        return
      fi
      shift words
      (( CURRENT-- ))
      case $words[1] in
${below(name)
  .map((command) => branch(command, 8))
  .join('\n')}
      esac
      ;;`,
  )
  .join('\n')}
  esac
}

_pinfs "$@"
`;
}

interface Named {
  readonly name: string;
  readonly summary: string;
}

function named({ words, summary }: CommandForm): Named {
  return { name: words.at(-1) ?? '', summary };
}

function described(all: readonly Named[]): string {
  return all.map(({ name, summary }) => `      ${quoted(`${name}:${summary}`)}`).join('\n');
}

/** What a command takes. */
function branch(command: CommandForm, indent: number): string {
  const { options } = command;
  const shared = (rows: readonly OptionRow[]) => rows.every((row) => options.includes(row));
  const [name, known] = shared(sourceRows)
    ? ['$source', [...outputRows, ...sourceRows]]
    : ['$output', outputRows];
  const own = options.filter((row) => !known.includes(row));
  const words = [name, ...own.map(spec), ...command.arguments.map(argumentSpec)];
  const space = ' '.repeat(indent);
  return [
    `${space}${command.words.at(-1) ?? ''})`,
    `${space}  _arguments -S ${words.join(` \\\n${space}    `)}`,
    `${space}  ;;`,
  ].join('\n');
}

function specs(rows: readonly OptionRow[]): string {
  return rows.map((row) => `    ${spec(row)}`).join('\n');
}

/** An option as _arguments takes it. */
function spec(row: OptionRow): string {
  const { flag, short, repeatable, value, help } = row;
  const text = `[${help.replace(/[\\[\]:]/g, '\\$&')}]${value === undefined ? '' : `:${escaped(value)}:${action(row)}`}`;
  if (short !== undefined) return `'(${short} ${flag})'{${short},${flag}}${quoted(text)}`;
  return quoted(`${repeatable === true ? '*' : ''}${flag}${text}`);
}

const actions: Readonly<Record<OptionKind, string>> = {
  flag: '',
  text: '',
  path: '_files',
  directory: '_files -/',
  place: '_files -/',
  size: '',
  sizeOrOff: '',
  seconds: '',
  gid: '',
  number: '',
  choice: '',
};

function action(row: OptionRow): string {
  const values = offeredValues(row);
  // A lone blank: nothing is offered, and the message is shown.
  return values === undefined ? actions[row.kind] || ' ' : `(${values.join(' ')})`;
}

function argumentSpec({ name, repeatable, completion, words }: ArgumentForm): string {
  const offers = {
    sources: '_pinfs_sources',
    words: `(${words.join(' ')})`,
    files: '_files',
    directories: '_files -/',
    mounts: '_pinfs_mounts',
    nothing: ' ',
  } as const;
  return quoted(`${repeatable ? '*' : ''}:${escaped(name)}:${offers[completion]}`);
}

function escaped(text: string): string {
  return text.replace(/[\\:]/g, '\\$&');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
