import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  dataDirectory,
  directoryProblem,
  privateDirectory,
  temporaryDirectory,
  userDirectory,
} from './places.js';

const uid = process.getuid?.() ?? 0;

function place(t: Test): string {
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-places-')));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  // Others get to what lies in it.
  chmodSync(work, 0o755);
  return work;
}

void t.test('an empty or relative variable is none', (t) => {
  const passwd = () => '/home/of-passwd';
  const at = (variables: Record<string, string>) =>
    userDirectory('XDG_CACHE_HOME', variables, passwd);
  t.equal(at({ XDG_CACHE_HOME: '/c', HOME: '/h' }), '/c');
  for (const XDG_CACHE_HOME of ['', '.', 'relative', './x', '~/x', '/a\0b']) {
    t.equal(at({ XDG_CACHE_HOME, HOME: '/h' }), '/h/.cache', JSON.stringify(XDG_CACHE_HOME));
  }
  for (const HOME of ['', '.', 'home/u', '..']) {
    t.equal(at({ HOME }), '/home/of-passwd/.cache', JSON.stringify(HOME));
  }
  t.equal(userDirectory('XDG_STATE_HOME', {}, passwd), '/home/of-passwd/.local/state');
  t.equal(userDirectory('XDG_CONFIG_HOME', {}, passwd), '/home/of-passwd/.config');
  const nobody = () => undefined;
  t.equal(userDirectory('XDG_CONFIG_HOME', { HOME: '' }, nobody), undefined);
  const atRoot = userDirectory('XDG_CACHE_HOME', { HOME: '/' }, nobody);
  t.equal(atRoot, uid === 0 ? '/.cache' : undefined, 'as containers have it');
  t.equal(temporaryDirectory({ TMPDIR: 'x' }), '/tmp');
  t.equal(temporaryDirectory({ TMPDIR: '/x' }), '/x');
  t.end();
});

void t.test('a private directory is ours alone, and nobody can take it away', (t) => {
  const work = place(t);
  const free = join(work, 'free');
  mkdirSync(free);
  chmodSync(free, 0o777);
  const sticky = join(work, 'sticky');
  mkdirSync(sticky);
  chmodSync(sticky, 0o1777);
  const found = privateDirectory([join(free, 'p'), join(sticky, 'p')], uid);
  t.equal(found.place, join(sticky, 'p'));
  t.match(found.problems, [/free\/p: others may put another one in its place/]);
  t.equal(statSync(join(sticky, 'p')).mode & 0o777, 0o700);
  t.same(privateDirectory([join(sticky, 'p')], uid), { place: join(sticky, 'p'), problems: [] });
  t.match(directoryProblem(join(sticky, 'p'), uid + 1), /owned by another user/);
  t.match(privateDirectory([join(work, 'a', 'b')], uid), {
    place: undefined,
    problems: [/ENOENT/],
  });
  t.end();
});

void t.test('data lies below the home, by the same rule', (t) => {
  const variables = { HOME: '/h', XDG_CACHE_HOME: 'relative', XDG_STATE_HOME: '/s' };
  t.equal(dataDirectory('cache', variables), '/h/.cache/pinfs');
  t.equal(dataDirectory('state', variables), '/s/pinfs');
  t.end();
});
