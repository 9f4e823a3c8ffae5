import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import { userDirectory, type Variables } from '../../machine/places.js';
import { unitWord, withProgram, type Program } from './files.js';
import { planRemove, planText, type Planned, type SetupStep } from './setup.js';

/** `pinfs mount --at-login`: a unit of the systemd of a user for one mount, written and taken back. */

export interface AtLoginParts {
  /** The `share` of the package. */
  readonly share: string;
  readonly program: Program;
  readonly variables: Variables;
  /** Absolute. */
  readonly mountpoint: string;
}

const nameBytesMax = 255;

/** As systemd-escape(1) makes it of a path. @throws PinfsError USAGE: too long for the name of a file */
export function unitName(mountpoint: string): string {
  const bytes = Buffer.from(mountpoint.replace(/\/+/g, '/').replace(/^\/|\/$/g, ''));
  const escaped = [...bytes].map((byte, index) => {
    const letter = String.fromCharCode(byte);
    if (letter === '/') return '-';
    if (/[A-Za-z0-9:_]/.test(letter) || (letter === '.' && index > 0)) return letter;
    return `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  const name = `pinfs-${escaped.join('') || '-'}.service`;
  if (name.length <= nameBytesMax) return name;
  throw new PinfsError('USAGE', `the path ${mountpoint} is too long for the name of a unit`, {
    advice: 'Choose a shorter one.',
  });
}

/** Where the units of this user lie. @throws PinfsError SETUP_REFUSED: he has no home */
function unitDirectory(variables: Variables): string {
  const directory = userDirectory('XDG_CONFIG_HOME', variables);
  if (directory !== undefined) return join(directory, 'systemd', 'user');
  throw new PinfsError('SETUP_REFUSED', 'there is no home directory for the units of this user', {
    advice: 'Set HOME, or XDG_CONFIG_HOME.',
  });
}

const by = { who: 'pinfs mount --at-login', undo: 'pinfs umount --at-login' };

/**
 * What mounting at login needs: the unit, and the link that enables it.
 * @param words options, source and mountpoint, as they stand on a command line
 */
export function planAtLogin(parts: AtLoginParts, words: readonly string[]): readonly Planned[] {
  const { share, program, variables, mountpoint } = parts;
  const plain = readFileSync(join(share, 'systemd', 'user', 'pinfs-at-login.service'), 'utf8');
  const named = plain.slice(plain.indexOf('[Unit]'));
  const filled = named
    .replaceAll('on MOUNTPOINT', () => `on ${mountpoint.replaceAll('%', '%%')}`)
    .replaceAll('MOUNTPOINT', () => unitWord(mountpoint))
    .replace('ARGUMENTS', () => words.map(unitWord).join(' '));
  const text = withProgram(filled, program);
  const path = join(unitDirectory(variables), unitName(mountpoint));
  const unit = { path, purpose: `mounts ${mountpoint} at login`, mode: 0o600 };
  return [planText({ ...unit, text, by }, ''), planLink(path)];
}

/** What taking it back would do. */
export function planNotAtLogin({
  variables,
  mountpoint,
}: Pick<AtLoginParts, 'variables' | 'mountpoint'>): readonly Planned[] {
  const path = join(unitDirectory(variables), unitName(mountpoint));
  return [planUnlink(path), planRemove({ path, purpose: `mounts ${mountpoint} at login` }, '')];
}

const purpose = 'that systemd does so';

function linkOf(unit: string): { readonly link: string; readonly target: string } {
  const name = unit.slice(dirname(unit).length + 1);
  return { link: join(dirname(unit), 'default.target.wants', name), target: join('..', name) };
}

function planLink(unit: string): Planned {
  const { link, target } = linkOf(unit);
  const there = lstatSync(link, { throwIfNoEntry: false });
  const step = (action: SetupStep['action']): SetupStep => ({ path: link, purpose, action });
  if (there === undefined)
    return {
      step: step('write'),
      act: () => {
        mkdirSync(dirname(link), { recursive: true });
        symlinkSync(target, link);
      },
    };
  const nothing = (): void => undefined;
  if (isOurs(link, unit)) return { step: step('none'), act: nothing };
  return { step: { ...step('keep'), reason: 'it is there, and leads elsewhere' }, act: nothing };
}

function planUnlink(unit: string): Planned {
  const { link } = linkOf(unit);
  const there = isOurs(link, unit);
  const action = there ? 'remove' : 'none';
  const act = (): void => {
    if (!there) return;
    rmSync(link);
    try {
      rmdirSync(dirname(link));
    } catch {
      // Other units are begun with the login as well.
    }
  };
  return { step: { path: link, purpose, action }, act };
}

/** `systemctl --user enable` makes it with an absolute path. */
function isOurs(link: string, unit: string): boolean {
  try {
    return [unit, linkOf(unit).target].includes(readlinkSync(link));
  } catch {
    return false;
  }
}
