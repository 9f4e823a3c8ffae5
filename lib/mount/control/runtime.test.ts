import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../../testing/fakes/stub-mount.js';
import {
  ensureRuntimeDirectory,
  mountName,
  runtimeCandidates,
  safeDirectories,
} from './runtime.js';

const uid = process.getuid?.() ?? 0;

void t.test('root has one place, users that of their login', (t) => {
  const root = { variables: { XDG_RUNTIME_DIR: '/run/user/0' }, uid: 0 };
  t.equal(runtimeCandidates(root)[0], '/run/pinfs');
  const user = { variables: { XDG_RUNTIME_DIR: '/somewhere' }, uid: 1000 };
  t.same(runtimeCandidates(user), ['/somewhere/pinfs', '/run/user/1000/pinfs', '/tmp/pinfs-1000']);
  const bare = { variables: { XDG_RUNTIME_DIR: 'relative' }, uid: 1000 };
  t.same(runtimeCandidates(bare), ['/run/user/1000/pinfs', '/tmp/pinfs-1000']);
  t.end();
});

void t.test('a temporary directory is absolute, or the usual one', (t) => {
  const at = (TMPDIR: string) => runtimeCandidates({ variables: { TMPDIR }, uid: 1000 });
  t.same(at('/scratch').slice(1), ['/scratch/pinfs-1000', '/tmp/pinfs-1000']);
  for (const other of ['', 'relative', './x']) t.same(at(other).slice(1), ['/tmp/pinfs-1000']);
  t.end();
});

void t.test('places too long for a socket are left out', (t) => {
  const long = {
    variables: { XDG_RUNTIME_DIR: `/${'x'.repeat(90)}` },
    uid: 1000,
  };
  t.notOk(runtimeCandidates(long).some((place) => place.includes('xxx')));
  t.end();
});

void t.test('the first place that can be used is made with mode 0700, once', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const places = ['/nowhere/pinfs', join(path, 'pinfs')];
  const made = ensureRuntimeDirectory(places, uid);
  t.equal(made, join(path, 'pinfs'));
  t.equal(statSync(made).mode & 0o777, 0o700);
  t.equal(ensureRuntimeDirectory(places, uid), made);
  t.same(safeDirectories(places, uid), [made]);
  t.end();
});

void t.test('a place that somebody else prepared is not used', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  mkdirSync(join(path, 'target'), { mode: 0o700 });
  symlinkSync(join(path, 'target'), join(path, 'link'));
  writeFileSync(join(path, 'file'), '');
  mkdirSync(join(path, 'open'));
  chmodSync(join(path, 'open'), 0o750);
  const places = ['link', 'file', 'open'].map((name) => join(path, name));
  t.same(safeDirectories(places, uid), []);
  t.throws(() => ensureRuntimeDirectory(places, uid), {
    code: 'STATE_UNUSABLE',
    message: /link: not a directory; .*file: not a directory; .*open: open to others/,
  });
  t.throws(() => ensureRuntimeDirectory([join(path, 'target')], uid + 1), {
    code: 'STATE_UNUSABLE',
    message: /owned by another user/,
  });
  t.end();
});

void t.test('a mount is called by its mountpoint', (t) => {
  t.match(mountName('/mnt/a'), /^[0-9a-f]{16}$/);
  t.not(mountName('/mnt/a'), mountName('/mnt/b'));
  t.end();
});

void t.test('in a user namespace each root has a place of his own', (t) => {
  const places = runtimeCandidates({ variables: {}, uid: 0, outerUid: 4321 });
  t.same(places, ['/run/pinfs', '/tmp/pinfs-4321', '/tmp/pinfs-0']);
  t.end();
});
