import { toBytes, type ByteString } from '../lib/format/bytes.js';
import { isUtf8 } from 'node:buffer';
import { expectedBytes, type ExpectedEntry } from '../lib/testing/genuine.js';
import { groups, isRoot, uid, type DriverName } from './machine.js';

export type ExpectedTree = ReadonlyMap<ByteString, ExpectedEntry>;

/** What a mount is to show: less than the oracle where the driver can't carry it or this user may not see it. */
export function carried(tree: ExpectedTree, driver: DriverName): Map<ByteString, ExpectedEntry> {
  const found = new Map<ByteString, ExpectedEntry>();
  for (const [path, line] of tree) {
    if (!reachable(tree, path)) continue;
    const seen = seenByUser(line);
    const shown = driver === 'fuse-native' ? byFuseNative(path, seen) : seen;
    if (shown !== undefined) found.set(path, shown);
  }
  return found;
}

/** fuse-native: names are UTF-8, times whole milliseconds from 1970 on, link targets UTF-8. */
function byFuseNative(path: ByteString, line: ExpectedEntry): ExpectedEntry | undefined {
  if (!isUtf8(toBytes(path))) return undefined;
  const ns = line.mtime_ns ?? 0;
  const time =
    line.mtime < 0
      ? { mtime: 0, mtime_ns: 0 }
      : { mtime: line.mtime, mtime_ns: ns - (ns % 1_000_000) };
  const target = expectedBytes(line.target, line.target_b64);
  const badTarget = target !== undefined && !isUtf8(target);
  return {
    ...line,
    ...time,
    ...(badTarget ? { target: 'EIO', target_b64: undefined as never } : {}),
  };
}

const search = 1;
const read = 4;

function may(line: ExpectedEntry, what: number): boolean {
  if (isRoot) return true;
  const mode = parseInt(line.mode, 8);
  const bits = line.uid === uid ? mode >> 6 : groups.includes(line.gid) ? mode >> 3 : mode;
  return (bits & what) === what;
}

/** Whether all directories above let this user through, and list what is in them. */
function reachable(tree: ExpectedTree, path: ByteString): boolean {
  for (
    let end = path.lastIndexOf('/');
    end >= 0 && path !== '/';
    end = path.lastIndexOf('/', end - 1)
  ) {
    const above = tree.get(end === 0 ? '/' : path.slice(0, end));
    if (above !== undefined && !may(above, search | read)) return false;
    if (end === 0) break;
  }
  return true;
}

/** The kernel shows `trusted.*` to root only, and `user.*` to whom the file may be read by. */
function seenByUser(line: ExpectedEntry): ExpectedEntry {
  if (isRoot) return line;
  const readable = line.type !== 'file' || may(line, read);
  const hidden = readable ? /^trusted\./ : /^(trusted|user)\./;
  const xattrs = Object.entries(line.xattrs ?? {}).filter(([name]) => !hidden.test(name));
  return {
    ...line,
    ...(readable ? {} : { sha256: 'EACCES' }),
    xattrs: Object.fromEntries(xattrs),
  };
}

/** Paths of a tree whose names are not UTF-8. */
export function notUtf8(tree: ExpectedTree): ByteString[] {
  return [...tree.keys()].filter((path) => !isUtf8(toBytes(path)));
}
