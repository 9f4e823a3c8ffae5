import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openToAppend } from './append.js';
import { holdDirectory, UnsafeDirectory } from './held.js';
import { makeDirectories } from './make.js';
import { lookAtOurs, openOurs, readSmall, removeEntry } from './regular.js';
import { roomProblem } from './way.js';

const isRoot = process.geteuid?.() === 0;
const someoneElse = 23456;

/** A directory with two above it, whose modes can be set. */
function nested(t: { testdir(): string }): { top: string; middle: string; own: string } {
  const top = join(t.testdir(), 'top');
  const middle = join(top, 'middle');
  const own = join(middle, 'own');
  mkdirSync(own, { recursive: true, mode: 0o755 });
  return { top, middle, own };
}

function problemOf(path: string): string | undefined {
  try {
    holdDirectory(path).close();
    return undefined;
  } catch (thrown) {
    return thrown instanceof UnsafeDirectory ? thrown.message : String(thrown);
  }
}

void t.test('modes of a directory and of those above it', (t) => {
  const { top, middle, own } = nested(t);
  const cases: [top: number, middle: number, own: number, expected: RegExp | undefined][] = [
    [0o755, 0o755, 0o755, undefined],
    [0o755, 0o1777, 0o700, undefined],
    [0o755, 0o777, 0o700, /others may write to .*middle/],
    [0o777, 0o755, 0o700, /others may write to .*top/],
    [0o700, 0o777, 0o700, undefined],
    [0o710, 0o777, 0o700, /middle/],
    [0o755, 0o755, 0o722, /others may write to it/],
    [0o700, 0o755, 0o777, /others may write to it/],
  ];
  for (const [topMode, middleMode, ownMode, expected] of cases) {
    chmodSync(own, ownMode);
    chmodSync(middle, middleMode);
    chmodSync(top, topMode);
    const found = problemOf(own);
    if (expected === undefined) t.equal(found, undefined);
    else t.match(found, expected);
  }
  chmodSync(top, 0o755);
  t.end();
});

void t.test('owners of what lies above, and of links', { skip: !isRoot }, (t) => {
  const { middle, own } = nested(t);
  chownSync(middle, someoneElse, 0);
  t.match(problemOf(own), /middle belongs to another user/);
  chmodSync(middle, 0o1777);
  t.match(problemOf(own), /middle belongs to another user/, 'the owner may in spite of sticky');
  t.match(roomProblem(middle), /middle belongs to another user/);
  chownSync(middle, 0, 0);
  t.equal(problemOf(own), undefined);
  chmodSync(middle, 0o775);
  t.equal(problemOf(own), undefined, 'the group of root');
  chownSync(middle, 0, someoneElse);
  t.match(problemOf(own), /others may write/);
  chmodSync(middle, 0o755);
  chownSync(own, someoneElse, 0);
  t.match(problemOf(own), /belongs to another user/);
  chownSync(own, 0, 0);
  const link = join(middle, 'link');
  symlinkSync(own, link);
  t.equal(problemOf(link), undefined);
  lchownSync(link, someoneElse, 0);
  t.match(problemOf(link), /a link that another user made/);
  t.throws(() => makeDirectories(join(link, 'a', 'b')), /a link that another user made/);
  t.notOk(existsSync(join(own, 'a')));
  t.end();
});

void t.test('what is held stays what it was, and says when it is out of reach', (t) => {
  const { middle, own } = nested(t);
  writeFileSync(join(own, 'name'), 'right');
  const held = holdDirectory(own);
  t.equal(held.problem(), undefined);
  renameSync(own, `${own}.old`);
  mkdirSync(own);
  writeFileSync(join(own, 'name'), 'wrong');
  t.match(readSmall(`${held.at}/name`), { text: 'right' });
  t.equal(held.problem(), undefined, 'it was moved within our own');
  chmodSync(middle, 0o777);
  t.match(held.problem(), /others may write/);
  chmodSync(middle, 0o755);
  rmSync(`${own}.old`, { recursive: true });
  t.equal(held.problem(), 'it was removed');
  held.close();
  t.match(held.problem(), /removed/);
  t.end();
});

void t.test('directories are made for us alone, and where none can be it ends', (t) => {
  const parent = t.testdir();
  makeDirectories(join(parent, 'a', 'b', 'c'));
  t.equal(statSync(join(parent, 'a')).mode & 0o777, 0o700);
  makeDirectories(join(parent, 'a', 'b', 'c'));
  writeFileSync(join(parent, 'file'), '');
  for (const path of ['/proc/pinfs', '/proc/a/b', '/sys/a/b', join(parent, 'file', 'x')]) {
    t.throws(() => makeDirectories(path), { code: /^E/ });
  }
  chmodSync(parent, 0o777);
  t.throws(() => makeDirectories(join(parent, 'new', 'x')), { name: 'UnsafeDirectory' });
  t.notOk(existsSync(join(parent, 'new')), 'nothing was made');
  chmodSync(parent, 0o755);
  t.end();
});

void t.test('whatever lies in the place of a file, nobody waits', (t) => {
  // The path of a socket has to be short.
  const parent = mkdtempSync(join(tmpdir(), 'pinfs-files-'));
  t.teardown(() => rmSync(parent, { recursive: true }));
  mkdirSync(join(parent, 'folder'));
  writeFileSync(join(parent, 'folder', 'below'), 'x');
  writeFileSync(join(parent, 'file'), 'text');
  const at = (name: string): string => join(parent, name);
  execFileSync('mkfifo', [at('fifo')]);
  symlinkSync(at('file'), at('link'));
  execFileSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(at('socket'))}, () => process.exit(0))`,
  ]);
  const others = ['fifo', 'link', 'folder', 'socket'];
  if (isRoot) {
    execFileSync('mknod', [at('device'), 'c', '1', '5']);
    writeFileSync(at('foreign'), 'of another user');
    chownSync(at('foreign'), someoneElse, 0);
    others.push('device', 'foreign');
  }
  for (const name of others) {
    t.equal(openOurs(at(name)), 'other', name);
    t.equal(lookAtOurs(at(name)), 'other', name);
    t.equal(readSmall(at(name)), 'other', name);
    t.ok(removeEntry(at(name)), name);
    t.notOk(existsSync(at(name)));
  }
  t.ok(existsSync(at('file')), 'not what the link led to');
  t.equal(openOurs(at('none')), 'missing');
  t.equal(openOurs(at('file/none')), 'missing');
  t.equal(lookAtOurs(at('file/none')), 'missing');
  t.notOk(removeEntry(at('none')));
  const file = openOurs(at('file'));
  if (typeof file === 'string') t.fail(file);
  else closeSync(file.fd);
  t.same(readSmall(at('file')), { text: 'text' });
  t.end();
});

void t.test('a file to add to is ours, and nothing that could be waited for', (t) => {
  const parent = t.testdir({ other: 'x' });
  const at = (name: string): string => join(parent, name);
  const refused = (name: string, message: RegExp) =>
    t.throws(() => openToAppend(at(name)), { name: 'UnsafeDirectory', message }, name);
  for (let round = 0; round < 2; round++) closeSync(openToAppend(at('log')));
  t.equal(statSync(at('log')).mode & 0o777, 0o600);
  closeSync(openToAppend('/dev/null'));
  linkSync(at('other'), at('hard'));
  refused('hard', /another name/);
  symlinkSync(at('log'), at('link'));
  closeSync(openToAppend(at('link')));
  execFileSync('mkfifo', [at('fifo')]);
  t.throws(() => openToAppend(at('fifo')), { code: 'ENXIO' });
  const reader = openSync(at('fifo'), constants.O_RDONLY | constants.O_NONBLOCK);
  refused('fifo', /is no file/);
  closeSync(reader);
  if (isRoot) {
    lchownSync(at('link'), someoneElse, 0);
    refused('link', /a link that another user made/);
    chownSync(at('log'), someoneElse, 0);
    refused('log', /belongs to another user/);
  }
  t.end();
});

void t.test('a file that may not be removed is told as what it is', (t) => {
  const file = join(t.testdir({ file: 'x' }), 'file');
  const mark = (flag: string) => spawnSync('chattr', [flag, file], { stdio: 'ignore' }).status;
  if (mark('+i') === 0) {
    try {
      t.throws(() => removeEntry(file), { code: 'EPERM' });
    } finally {
      mark('-i');
    }
  } else t.comment('no file can be made immutable here');
  t.ok(removeEntry(file));
  t.end();
});
