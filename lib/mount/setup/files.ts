import { createHash } from 'node:crypto';

/** What `pinfs setup` writes, as texts: each one says in its head that it is ours, and what follows. */

export interface SetupFile {
  /** On the machine that it is for. */
  readonly path: string;
  /** Below `share` of the package. */
  readonly from: string;
  readonly mode: number;
  /** For people. */
  readonly purpose: string;
}

export const setupFiles: readonly SetupFile[] = [
  {
    path: '/sbin/mount.pinfs',
    from: 'sbin/mount.pinfs',
    mode: 0o755,
    purpose: 'mount -t pinfs, and lines of /etc/fstab of the type pinfs',
  },
  {
    path: '/etc/systemd/system/pinfs@.service',
    from: 'systemd/pinfs@.service',
    mode: 0o644,
    purpose: 'one pinned snapshot as a service: /etc/pinfs/NAME.conf, systemctl start pinfs@NAME',
  },
  {
    path: '/etc/auto.pinfs',
    from: 'autofs/auto.pinfs',
    mode: 0o755,
    purpose: 'how autofs mounts a name below /cvmfs',
  },
  {
    path: '/etc/auto.master.d/pinfs.autofs',
    from: 'autofs/pinfs.autofs',
    mode: 0o644,
    purpose: 'that autofs does so',
  },
];

/** How pinfs is called by what is written. */
export interface Program {
  readonly node: string;
  readonly script: string;
}

/** The text with the program by its whole path: mount(8) and systemd have a PATH of their own. */
export function withProgram(text: string, { node, script }: Program): string {
  const shell = [node, script].map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`);
  const unit = [node, script].map(unitWord);
  return text
    .replaceAll('exec pinfs ', () => `exec ${shell.join(' ')} `)
    .replaceAll('/usr/bin/env pinfs ', () => `${unit.join(' ')} `);
}

/** A word as it stands in a line of a unit (systemd.service(5), "Command lines"). */
export function unitWord(word: string): string {
  return `"${word
    .replace(/[\\"]/g, String.raw`\$&`)
    .replaceAll('\n', String.raw`\n`)
    .replace(/[%$]/g, '$&$&')}"`;
}

/** Who wrote a file, and what takes it away. */
export interface WrittenBy {
  readonly who: string;
  readonly undo: string;
}

const bySetup: WrittenBy = { who: 'pinfs setup', undo: 'pinfs setup --undo' };

const head = /^# Written by pinfs [ a-z-]+ \(sha256 ([0-9a-f]{64}), made (\S*)\)\. .*\n/m;

/** Says in the first line that is no `#!` whose it is, what follows, and which directories were made for it. */
export function marked(text: string, made: readonly string[], by = bySetup): string {
  const { before, after } = parts(text);
  const line = `# Written by ${by.who} (sha256 ${digest(before + after)}, made ${made.join(':')}). '${by.undo}' takes it away.\n`;
  return before + line + after;
}

function parts(text: string): { readonly before: string; readonly after: string } {
  const end = text.startsWith('#!') ? text.indexOf('\n') + 1 : 0;
  return { before: text.slice(0, end), after: text.slice(end) };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export type Written =
  /** No word of ours in it. */
  | { readonly kind: 'foreign' }
  /** Somebody changed it since. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'ours'; readonly text: string; readonly made: readonly string[] };

/** Reads back what `marked` made. */
export function readMarked(text: string): Written {
  const found = head.exec(text);
  if (found === null) return { kind: 'foreign' };
  const [line, sum, made = ''] = found;
  const rest = text.replace(line, () => '');
  if (digest(rest) !== sum) return { kind: 'changed' };
  return { kind: 'ours', text: rest, made: made.split(':').filter((path) => path !== '') };
}

/** Whether a line of a master map gives /cvmfs to somebody. */
export function mapsCvmfs(line: string): boolean {
  return /^\s*\/cvmfs\/?(\s|$)/.test(line);
}
