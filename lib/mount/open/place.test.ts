import { statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../../testing/fakes/stub-mount.js';
import { makeOpenedDirectory, namesFor, openedDirectories } from './place.js';

const uid = process.getuid?.() ?? 0;
const rootHash = 'a1b2c3d4'.repeat(5);

void t.test('a name says what it is, and is never more than a name', (t) => {
  const { length, 0: first } = namesFor('sw.example.org', { tag: 'v1', rootHash }, true);
  t.equal(first, 'sw.example.org@v1');
  t.ok(length > 1, 'another for when the tag has moved');
  t.equal(
    namesFor('sw.example.org', { tag: undefined, rootHash }, true)[0],
    'sw.example.org@a1b2c3d4',
  );
  t.equal(namesFor('sw.example.org', { tag: 'v1', rootHash }, false)[0], 'sw.example.org@HEAD');
  for (const tag of ['../../etc', '/', 'a\nb', '\u001b[2J', 'x'.repeat(5000)])
    for (const name of namesFor('sw.example.org', { tag, rootHash }, true)) {
      t.match(name, /^[A-Za-z0-9@_][A-Za-z0-9@._+-]*$/);
      t.ok(name.length < 255);
    }
  t.equal(namesFor('..', { tag: '.', rootHash }, true)[0], '_.@.');
  t.end();
});

void t.test('it lies in the runtime directory, where that is safe, or in the home', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const home = t.testdir({ open: {} });
  const variables = { XDG_RUNTIME_DIR: path, HOME: home };
  const made = makeOpenedDirectory(variables, uid);
  t.equal(made, join(path, 'pinfs', 'mounts'));
  t.equal(statSync(made).mode & 0o777, 0o700);
  t.same(openedDirectories(variables), [made, join(home, 'pinfs')]);
  for (const XDG_RUNTIME_DIR of ['', 'relative', join(home, 'nothing'), '/tmp'])
    t.equal(makeOpenedDirectory({ HOME: home, XDG_RUNTIME_DIR }, uid), join(home, 'pinfs'));
  t.end();
});

void t.test('where nothing can be made it says so', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  symlinkSync('/dev/null', join(path, 'pinfs'));
  t.throws(() => makeOpenedDirectory({ HOME: path }, uid), { code: 'MOUNTPOINT_UNUSABLE' });
  t.end();
});
