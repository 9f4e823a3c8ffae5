import { fromText, toBytes, type ByteString } from '../format/bytes.js';

/** One line of /proc/PID/mountinfo (proc(5)). */
export interface MountLine {
  readonly id: number;
  readonly parent: number;
  /** `major:minor`, as it stands there; the st_dev of what is mounted. */
  readonly device: string;
  /** What of it is mounted: `/`, unless a directory of it was bound here. */
  readonly root: ByteString;
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
  const [id, parent, device, root, mountpoint, options] = line.slice(0, separator).split(' ');
  const [type, source, superOptions] = line.slice(separator + 3).split(' ');
  if (id === undefined || parent === undefined || device === undefined) return undefined;
  if (root === undefined || mountpoint === undefined || options === undefined || type === undefined)
    return undefined;
  return {
    id: Number(id),
    parent: Number(parent),
    device,
    root: unescapeOctal(root),
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
 * Where a mount of ours lies, that `own` was when it was made: in its place, or elsewhere, since directories
 * above it can be renamed; undefined: nowhere that this process sees. Copies of it (mount --bind) are
 * others'. Both numbers of a mount that is gone are given to the next: whoever unmounts has to know that
 * its own is still there.
 */
export function mountpointOf(mounts: readonly MountLine[], own: MountLine): string | undefined {
  const found = mounts.find(
    ({ id, device, root, type }) =>
      id === own.id && device === own.device && root === own.root && type === mountType,
  );
  return found && textOf(found.mountpoint);
}

/** A path of the mount table as Node takes it. */
export function textOf(path: ByteString): string {
  return toBytes(path).toString('utf8');
}

/**
 * The mount that a FUSE device serves, by the text of its fdinfo, whose `fuse_connection` is the minor device
 * number of the mount; undefined where the kernel does not tell, or it is not mounted here.
 */
export function lineOfConnection(
  mounts: readonly MountLine[],
  fdinfo: string,
): MountLine | undefined {
  const connection = /^fuse_connection:\s*(\d+)$/m.exec(fdinfo)?.[1];
  return mounts.find(({ device, root }) => device === `0:${connection ?? ''}` && root === '/');
}
