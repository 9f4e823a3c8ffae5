/**
 * Run as a child: `node walk.js MOUNTPOINT [NOT-TO-BE-ENTERED…]` prints what is seen of every path
 * below, one JSON object a line, in the form of lib/testing/suites/oracle.ts. It must be a process of its own:
 * synchronous calls on a mount would block whoever serves it.
 */
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { fromBytes, toBytes, type ByteString } from '../lib/format/bytes.js';
import type { Shown } from '../lib/testing/suites/oracle.js';

const types: readonly (readonly [string, (it: fs.BigIntStats) => boolean])[] = [
  ['file', (it) => it.isFile()],
  ['dir', (it) => it.isDirectory()],
  ['symlink', (it) => it.isSymbolicLink()],
  ['char', (it) => it.isCharacterDevice()],
  ['block', (it) => it.isBlockDevice()],
  ['fifo', (it) => it.isFIFO()],
  ['socket', (it) => it.isSocket()],
];

/** The value, or the name of the error in its place. */
function errorName<T>(action: () => T): T | string {
  try {
    return action();
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code ?? String(thrown);
  }
}

function contentHash(path: Buffer): string {
  const file = fs.openSync(path, 'r');
  try {
    const digest = createHash('sha256');
    const buffer = Buffer.allocUnsafe(256 * 1024);
    for (let count = 1; count > 0;) {
      count = fs.readSync(file, buffer, 0, buffer.length, null);
      digest.update(buffer.subarray(0, count));
    }
    return digest.digest('hex');
  } finally {
    fs.closeSync(file);
  }
}

function deviceText(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

function shown(root: string, path: ByteString): Shown {
  const full = Buffer.concat([Buffer.from(root), toBytes(path)]);
  const it = fs.lstatSync(full, { bigint: true });
  const type = types.find(([, is]) => is(it))?.[0] ?? 'unknown';
  const seconds = it.mtimeNs / 1_000_000_000n;
  const ns = it.mtimeNs % 1_000_000_000n;
  const before = ns < 0n;
  return {
    path: path === '' ? '/' : path,
    type,
    mode: (it.mode & 0o7777n).toString(8).padStart(4, '0'),
    uid: Number(it.uid),
    gid: Number(it.gid),
    size: Number(it.size),
    nlink: Number(it.nlink),
    mtime: Number(before ? seconds - 1n : seconds),
    mtimeNs: Number(before ? ns + 1_000_000_000n : ns),
    ino: String(it.ino),
    ...(type === 'char' || type === 'block' ? { rdev: deviceText(it.rdev) } : {}),
    ...(type === 'file' ? { sha256: errorName(() => contentHash(full)) } : {}),
    ...(type === 'symlink' ? { target: targetOf(full) } : {}),
  };
}

function targetOf(path: Buffer): string {
  const target = errorName(() => fs.readlinkSync(path, { encoding: 'buffer' }));
  return typeof target === 'string' ? target : fromBytes(target);
}

function walk(root: string, from: ByteString, leave: ReadonlySet<string>, found: Shown[]): void {
  const one = shown(root, from);
  found.push(one);
  if (one.type !== 'dir' || leave.has(from)) return;
  const directory = Buffer.concat([Buffer.from(root), toBytes(from)]);
  const names = errorName(() => fs.readdirSync(directory, { encoding: 'buffer' }));
  if (typeof names === 'string') return;
  for (const name of names) walk(root, `${from}/${fromBytes(name)}`, leave, found);
}

/** Attributes by path; those of the root are left out, as the magic ones are listed there. */
function allXattrs(root: string): Map<ByteString, Record<string, string>> {
  const args = ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'base64', '--absolute-names', root];
  // It ends with 1 where a directory may not be entered: what it could read is good all the same.
  const { stdout: text } = spawnSync('getfattr', args, { maxBuffer: 2 ** 26, encoding: 'latin1' });
  const found = new Map<ByteString, Record<string, string>>();
  for (const block of text.split(/\n\n+/)) {
    const [head = '', ...lines] = block.split('\n');
    const path = unescape(head.replace(/^# file: /, '')).slice(fromBytes(Buffer.from(root)).length);
    if (path === '' || head === '') continue;
    const values: Record<string, string> = {};
    for (const line of lines) {
      const at = line.indexOf('=');
      const name = toBytes(unescape(line.slice(0, at))).toString();
      if (at > 0) values[name] = line.slice(at + 1).replace(/^0s|""$/, '');
    }
    found.set(path, values);
  }
  return found;
}

function unescape(text: string): ByteString {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
}

const [root = '', ...leave] = process.argv.slice(2);
const found: Shown[] = [];
walk(root, '', new Set(leave), found);
const hidden: Shown[] = [];
// The directory that the root does not list.
if (fs.lstatSync(`${root}/.cvmfs`, { throwIfNoEntry: false }) !== undefined) {
  walk(root, '/.cvmfs', new Set(leave), hidden);
}
const xattrs = allXattrs(root);
for (const [index, one] of [...found, ...hidden].entries()) {
  const unlisted = index === found.length ? { unlisted: true } : {};
  const values = xattrs.get(one.path) ?? {};
  process.stdout.write(`${JSON.stringify({ ...one, ...unlisted, xattrs: values })}\n`);
}
