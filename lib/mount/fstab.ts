import { PinfsError } from '../format/errors.js';

/**
 * The form in which mount(8) calls a helper: `pinfs SOURCE DIR -o opts`. mount.fuse3 makes it from
 * an fstab line of type `fuse.pinfs`, and adds options of the kernel and of systemd that are no
 * business of ours.
 */

/** Options of mount(8), fstab(5) and systemd.mount(5) that change nothing for us. */
const ignored = new Set(
  [
    'defaults,rw,ro,auto,noauto,nofail,async,sync,dirsync,nosuid,nodev,exec,atime,noatime,relatime',
    'norelatime,strictatime,nostrictatime,lazytime,nolazytime,diratime,nodiratime,mand,nomand',
    'silent,loud,iversion,noiversion,user,nouser,users,owner,noowner,group,nogroup,_netdev,_rnetdev',
    // mount.fuse3 adds these two whether or not anybody asked for them, so they can't mean --suid and --dev.
    'suid,dev',
    // Always so, asked for or not.
    'default_permissions,nonempty',
  ]
    .join(',')
    .split(','),
);

/** Prefixes of options for other programs, such as `x-systemd.requires=`. */
const ignoredPrefixes = ['x-', 'X-', 'comment=', 'helper=', 'user=', 'context='];

/** Each is one way to write the pin. */
const pinNames = new Set(['pin', 'tag', 'hash', 'date']);

/** Options with a value, and the flag of `pinfs mount` that each one is. */
const valued: Readonly<Record<string, string>> = {
  key: '--key',
  cache: '--cache',
  cache_limit: '--cache-limit',
  driver: '--driver',
  log: '--log',
  trust_at: '--trust-at',
  attestation: '--attestation',
  signer: '--signer',
  fqrn: '--fqrn',
  blacklist: '--blacklist',
  external: '--external',
  env: '--env',
  deadline: '--deadline',
  inodes: '--inodes',
  protected_xattr: '--protected-xattr',
  xattr_gid: '--xattr-gid',
  min_rate: '--min-rate',
};

/** Options without a value. */
const plain: Readonly<Record<string, string>> = {
  allow_other: '--allow-other',
  offline: '--offline',
  strict: '--strict',
  follow_redirects: '--follow-redirects',
  no_xattrs: '--no-xattrs',
  passthrough: '--passthrough',
  weak_key: '--weak-key',
  allow_suid: '--suid',
  allow_dev: '--dev',
  verbose: '--verbose',
};

/** What `-o` texts mean: flags of `pinfs mount`, and the pin to put behind the source. */
export interface TranslatedOptions {
  /** Such as `--key=FILE`. */
  readonly flags: readonly string[];
  readonly pin: string | undefined;
}

/** @throws PinfsError USAGE, naming an option that is not known, or a second pin. */
export function translateMountOptions(texts: readonly string[]): TranslatedOptions {
  const flags: string[] = [];
  let pin: string | undefined;
  for (const option of texts.flatMap(splitOptions)) {
    if (ignored.has(option) || ignoredPrefixes.some((prefix) => option.startsWith(prefix)))
      continue;
    const at = option.indexOf('=');
    const name = at < 0 ? option : option.slice(0, at);
    const value = at < 0 ? undefined : option.slice(at + 1);
    if (pinNames.has(name) && value !== undefined && value !== '') {
      if (pin !== undefined) throw new PinfsError('USAGE', `'${option}' is a second pin`);
      pin = value;
    } else flags.push(translateOption(option, name, value));
  }
  return { flags, pin };
}

function translateOption(option: string, name: string, value: string | undefined): string {
  if (value === undefined && Object.hasOwn(plain, name)) return plain[name] ?? '';
  if (value !== undefined && Object.hasOwn(valued, name)) return `${valued[name] ?? ''}=${value}`;
  const known = ['pin=…', ...Object.keys(valued).map((key) => `${key}=…`), ...Object.keys(plain)];
  throw new PinfsError('USAGE', `the mount option '${option}' is not known`, {
    advice: `Known: ${known.join(', ')}.`,
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
