import { fromText, toBytes, type ByteString } from '../format/bytes.js';

/** One line of /proc/PID/mountinfo (proc(5)). */
export interface MountLine {
  readonly id: number;
  readonly parent: number;
  /** `major:minor`, as it stands there; the st_dev of what is mounted. */
  readonly device: string;
  /** The bytes of the path, unescaped. */
  readonly mountpoint: ByteString;
  readonly options: readonly string[];
  /** With its subtype: `fuse.pinfs`. */
  readonly type: string;
  readonly source: ByteString;
  readonly superOptions: readonly string[];
}

/** What mounts of ours have as their type, whichever driver made them. */
export const mountType = 'fuse.pinfs';

/** Reads mountinfo, as latin1 text; lines that aren't understood are left out. */
export function parseMountinfo(text: ByteString): MountLine[] {
  return text.split('\n').flatMap((line) => {
    const parsed = parseLine(line);
    return parsed === undefined ? [] : [parsed];
  });
}

function parseLine(line: string): MountLine | undefined {
  // id parent device root mountpoint options [tags…] - type source superoptions
  const separator = line.indexOf(' - ');
  if (separator < 0) return undefined;
  const [id, parent, device, , mountpoint, options] = line.slice(0, separator).split(' ');
  const [type, source, superOptions] = line.slice(separator + 3).split(' ');
  if (id === undefined || parent === undefined || device === undefined) return undefined;
  if (mountpoint === undefined || options === undefined || type === undefined) return undefined;
  return {
    id: Number(id),
    parent: Number(parent),
    device,
    mountpoint: unescapeOctal(mountpoint),
    options: options.split(','),
    type,
    source: unescapeOctal(source ?? ''),
    superOptions: (superOptions ?? '').split(','),
  };
}

/** The kernel writes space, tab, newline and backslash as `\040`, `\011`, `\012` and `\134`. */
export function unescapeOctal(text: string): ByteString {
  return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) =>
    String.fromCharCode(parseInt(digits, 8)),
  );
}

/** The topmost mount at exactly this path (absolute, without symlinks); undefined: it is no mountpoint. */
export function findMount(mounts: readonly MountLine[], mountpoint: string): MountLine | undefined {
  const bytes = fromText(mountpoint);
  // Mounts on top of others come later in the list.
  return mounts.findLast((mount) => mount.mountpoint === bytes);
}

/**
 * Where a mount of ours with this device number lies: at `mountpoint`, or elsewhere, since directories
 * above it can be renamed; undefined: nowhere that this process sees.
 */
export function mountOf(
  mounts: readonly MountLine[],
  device: string,
  mountpoint: string,
): string | undefined {
  const own = mounts.filter((mount) => mount.device === device && mount.type === mountType);
  if (own.some((mount) => mount.mountpoint === fromText(mountpoint))) return mountpoint;
  const last = own.at(-1);
  return last && toBytes(last.mountpoint).toString('utf8');
}
