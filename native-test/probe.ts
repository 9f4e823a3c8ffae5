/**
 * Run as a child: `node probe.js STEPS` makes the system calls that a JSON list names, one after another,
 * and prints what came of each: its value, or the name of the error. A mount must only be touched from
 * a process that serves nothing (see walk.ts).
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';

/** The name of a call of `node:fs`, or one of those below, and its arguments. */
export type Step = readonly [call: string, ...args: (string | number)[]];

const calls: Readonly<Record<string, (...args: never[]) => unknown>> = {
  lstat: (path: string) => facts(fs.lstatSync(path, { bigint: true })),
  stat: (path: string) => facts(fs.statSync(path, { bigint: true })),
  list: (path: string) => fs.readdirSync(path).sort(),
  readlink: (path: string) => fs.readlinkSync(path),
  statfs: (path: string) => fs.statfsSync(path),
  access: (path: string, mode: number) => {
    fs.accessSync(path, mode);
  },
  /** Opens with these flags and closes. */
  open: (path: string, flags: string) => {
    fs.closeSync(fs.openSync(path, flags));
  },
  /** The bytes of a range, as base64. */
  read: (path: string, position: number, length: number) => {
    const file = fs.openSync(path, 'r');
    try {
      const buffer = Buffer.alloc(length);
      return buffer.subarray(0, fs.readSync(file, buffer, 0, length, position)).toString('base64');
    } finally {
      fs.closeSync(file);
    }
  },
  /** The begin of the SHA-256 of all that can be read. */
  content: (path: string) =>
    createHash('sha256').update(fs.readFileSync(path)).digest('hex').slice(0, 8),
  write: (path: string, text: string) => fs.writeFileSync(path, text),
  append: (path: string, text: string) => fs.appendFileSync(path, text),
  mkdir: (path: string) => fs.mkdirSync(path),
  rmdir: (path: string) => fs.rmdirSync(path),
  unlink: (path: string) => fs.unlinkSync(path),
  rename: (from: string, to: string) => fs.renameSync(from, to),
  link: (from: string, to: string) => fs.linkSync(from, to),
  symlink: (target: string, path: string) => fs.symlinkSync(target, path),
  truncate: (path: string, length: number) => fs.truncateSync(path, length),
  chmod: (path: string, mode: number) => fs.chmodSync(path, mode),
  chown: (path: string, uid: number, gid: number) => fs.chownSync(path, uid, gid),
  lchown: (path: string, uid: number, gid: number) => fs.lchownSync(path, uid, gid),
  utimes: (path: string, time: number) => fs.utimesSync(path, time, time),
  lutimes: (path: string, time: number) => fs.lutimesSync(path, time, time),
};

function facts(it: fs.BigIntStats): Record<string, string> {
  const { ino, mode, nlink, size, dev } = it;
  return {
    ino: String(ino),
    mode: (mode & 0o7777n).toString(8),
    nlink: String(nlink),
    size: String(size),
    dev: String(dev),
  };
}

function result([name, ...args]: Step): unknown {
  const call = calls[name];
  if (call === undefined) return `no such call: ${name}`;
  try {
    return call(...(args as never[])) ?? 'done';
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code ?? String(thrown);
  }
}

const steps = JSON.parse(process.argv[2] ?? '[]') as Step[];
process.stdout.write(JSON.stringify(steps.map(result)));
