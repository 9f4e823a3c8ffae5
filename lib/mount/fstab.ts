import { PinfsError } from '../format/errors.js';
import type { OptionRow } from '../options/option.js';
import { fstabName } from '../options/rows.js';
import { mountTables } from '../options/tables.js';

/**
 * The form in which mount(8) calls a helper: `pinfs SOURCE DIR -o opts`. mount.fuse3 makes it from
 * an fstab line of type `fuse.pinfs`, and adds options of the kernel and of systemd that are no
 * business of ours.
 */

/** Options of mount(8), fstab(5) and systemd.mount(5) that mount(8) or systemd acts on, or that are always so. */
const ignored = new Set(
  [
    // Who may call mount(8), and when it is called. mount(8) itself turns the first ones into noexec and the like.
    'user,nouser,users,owner,noowner,group,nogroup,auto,noauto,nofail,defaults,_netdev,_rnetdev',
    // What is never written has nothing to synchronise, to lock, or to note the time of.
    'ro,async,sync,dirsync,atime,noatime,relatime,norelatime,strictatime,nostrictatime,lazytime',
    'nolazytime,diratime,nodiratime,mand,nomand,iversion,noiversion,silent,loud',
    // Always so, unless allow_suid or allow_dev is said; mount.fuse3 adds `suid` and `dev` whether or not
    // anybody asked for them, so they can't mean --suid and --dev.
    'nosuid,nodev,suid,dev,default_permissions,nonempty,auto_unmount,symfollow,subtype=pinfs',
    // Of `mount -t cvmfs`: no shell is run for the files of a site, ever.
    'simple_options_parsing',
  ]
    .join(',')
    .split(','),
);

/** Prefixes of options for other programs, such as `x-systemd.requires=`. */
const ignoredPrefixes = ['x-', 'X-', 'comment=', 'helper=', 'uhelper=', 'user='];

const owners = 'owners and modes are those that were published, on every machine';
const labels = 'security labels can not be given to what pinfs mounts';

/** Options that others have and pinfs can't have, with the reason. */
const refused: Readonly<Record<string, string>> = {
  uid: owners,
  gid: owners,
  umask: owners,
  fmask: owners,
  dmask: owners,
  context: labels,
  fscontext: labels,
  defcontext: labels,
  rootcontext: labels,
  nosymfollow: 'links are part of what was published',
  subtype: 'it is always pinfs',
  allow_root: 'say allow_other, which lets others in as far as the modes of the files do',
  libfuse: 'take driver=fuse-native for libfuse; it is spoken to without one otherwise',
  grab_mountpoint: 'the mountpoint is not changed',
  disable_watchdog: 'what is dead is taken away, and nothing else watches a mount',
  system_mount: 'say allow_other, which lets others in',
  drop_privileges: 'that is for mount.fuse3, as the helper of mount(8)',
  setuid: 'that is for mount.fuse3, as the helper of mount(8)',
};

/** What the mount table shows; for a remount with no line in fstab, mount(8) takes it from there. */
const kernels = new Set(['user_id', 'group_id', 'rootmode', 'fd']);

/** Each is one way to write the pin. */
const pinNames = new Set(['pin', 'tag', 'hash', 'date']);

/** Options of `pinfs mount`, by their names here. */
const known: ReadonlyMap<string, OptionRow> = new Map(
  mountTables
    .flatMap((rows) => Object.values(rows))
    .flatMap((row) => {
      const name = fstabName(row);
      return name === undefined ? [] : [[name, row]];
    }),
);

/** Options that `mount -t cvmfs` calls otherwise. */
const ofReference: Readonly<Partial<Record<string, string>>> = { cvmfs_suid: 'allow_suid' };

/** What `-o` texts mean: flags of `pinfs mount`, the pin to put behind the source, and what only mount(8) has. */
export interface TranslatedOptions {
  /** Such as `--key=FILE`. */
  readonly flags: readonly string[];
  readonly pin: string | undefined;
  /** What the kernel shall show as the source of the mount. */
  readonly fsname: string | undefined;
  readonly noExec: boolean;
  /** Asked for; mount(8) also adds it wherever nobody says `ro`. */
  readonly writable: boolean;
  /** A mount that is there already is to be changed. */
  readonly remount: boolean;
}

/** @throws PinfsError USAGE, naming an option that is not known or can't be had, or a second pin. */
export function translateMountOptions(texts: readonly string[]): TranslatedOptions {
  const flags: string[] = [];
  const pins: { readonly option: string; readonly value: string }[] = [];
  let fsname: string | undefined;
  // Of contrary words the last one counts, as with mount(8).
  const last = { noExec: false, writable: false, remount: false, kernel: '' };
  for (const option of texts.flatMap(splitOptions)) {
    const { name, value } = nameAndValue(option);
    if (option === 'noexec' || option === 'exec') last.noExec = option === 'noexec';
    else if (option === 'rw' || option === 'ro') last.writable = option === 'rw';
    else if (option === 'remount') last.remount = true;
    else if (kernels.has(name)) last.kernel = option;
    else if (name === 'fsname' && value !== undefined && value !== '') fsname = value;
    else if (pinNames.has(name) && value !== undefined && value !== '')
      pins.push({ option, value });
    else if (!isIgnored(option)) flags.push(translateOption(option, name, value));
  }
  const { kernel, ...words } = last;
  const [, second] = pins;
  // For a remount mount(8) puts what is asked for behind what fstab says.
  if (second !== undefined && !words.remount)
    throw new PinfsError('USAGE', `'${second.option}' is a second pin`);
  const pin = pins.at(-1)?.value;
  if (kernel !== '' && !words.remount) throw refusal(kernel, 'pinfs itself tells the kernel that');
  return { flags, pin, fsname, ...words };
}

function refusal(option: string, reason: string): PinfsError {
  return new PinfsError('USAGE', `the mount option '${option}' is refused: ${reason}`);
}

function isIgnored(option: string): boolean {
  return ignored.has(option) || ignoredPrefixes.some((prefix) => option.startsWith(prefix));
}

function nameAndValue(option: string): { name: string; value: string | undefined } {
  const at = option.indexOf('=');
  if (at < 0) return { name: option, value: undefined };
  return { name: option.slice(0, at), value: option.slice(at + 1) };
}

function translateOption(option: string, name: string, value: string | undefined): string {
  const row = known.get(ofReference[name] ?? name);
  if (row?.kind === 'flag' && value === undefined) return row.flag;
  if (row !== undefined && row.kind !== 'flag' && value !== undefined)
    return `${row.flag}=${value}`;
  if (Object.hasOwn(refused, name)) {
    throw refusal(option, refused[name] ?? '');
  }
  const names = [...known].map(([key, { kind }]) => (kind === 'flag' ? key : `${key}=…`));
  throw new PinfsError('USAGE', `the mount option '${option}' is not known`, {
    advice: `Known: ${['pin=…', ...names].join(', ')}.`,
  });
}

/** Splits at commas, but not inside double quotes (mount(8): `key="a,b"`), and leaves the quotes out. */
function splitOptions(text: string): string[] {
  const result: string[] = [];
  let current = '';
  let quoted = false;
  for (const char of text) {
    if (char === '"') quoted = !quoted;
    else if (char === ',' && !quoted) {
      result.push(current);
      current = '';
    } else current += char;
  }
  result.push(current);
  return result.filter((option) => option !== '');
}
