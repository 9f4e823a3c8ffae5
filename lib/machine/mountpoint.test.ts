import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../testing/fakes/stub-mount.js';
import { PinfsError } from '../format/errors.js';
import { checkMountpoint, resolveMountpoint, usableMountpoint } from './mountpoint.js';

const nothing = () => false;

void t.test('links are followed, on the way and at the end', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  mkdirSync(join(path, 'a', 'b'), { recursive: true });
  symlinkSync('a', join(path, 'relative'));
  symlinkSync(join(path, 'relative', 'b'), join(path, 'absolute'));
  symlinkSync('../a/b/..', join(path, 'a', 'up'));
  for (const name of ['relative/b', 'absolute', 'a/up/b', 'a/../a/b']) {
    t.equal(resolveMountpoint(join(path, name), nothing), join(path, 'a', 'b'), name);
    t.equal(realpathSync(join(path, name)), join(path, 'a', 'b'), name);
  }
  t.equal(resolveMountpoint('/', nothing), '/');
  t.end();
});

void t.test('links that go round are given up', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  symlinkSync('loop', join(path, 'loop'));
  t.throws(() => resolveMountpoint(join(path, 'loop'), nothing), {
    code: 'MOUNTPOINT_UNUSABLE',
    message: /too many/,
  });
  t.end();
});

void t.test('a mount of ours is not looked at, and nothing is mounted inside of it', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const mounted = join(path, 'not-even-there');
  const isMounted = (candidate: string) => candidate === mounted;
  t.equal(resolveMountpoint(mounted, isMounted), mounted);
  t.throws(() => resolveMountpoint(join(mounted, 'below'), isMounted), {
    code: 'MOUNTPOINT_UNUSABLE',
    message: /inside of a pinfs mount/,
  });
  t.end();
});

void t.test('what is missing or no directory is said with what to do', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  writeFileSync(join(path, 'file'), '');
  t.throws(() => resolveMountpoint(join(path, 'none'), nothing), {
    code: 'MOUNTPOINT_UNUSABLE',
    advice: /mkdir -p/,
  });
  t.throws(() => checkMountpoint(join(path, 'file'), []), { message: /not a directory/ });
  t.throws(() => resolveMountpoint(join(path, 'file', 'x'), nothing), {
    code: 'MOUNTPOINT_UNUSABLE',
  });
  t.end();
});

void t.test('files of ours may not be hidden, wherever they will be made', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  mkdirSync(join(path, 'mnt'));
  symlinkSync(join(path, 'mnt'), join(path, 'link'));
  const reserved = (place: string, whole = false) => [{ what: 'the cache', path: place, whole }];
  const refused = [
    reserved(join(path, 'mnt')),
    reserved(join(path, 'mnt', 'not', 'yet')),
    reserved(join(path, 'link', 'not', 'yet')),
    reserved(path, true),
  ];
  for (const one of refused) {
    t.throws(() => checkMountpoint(join(path, 'mnt'), one), { code: 'MOUNTPOINT_UNUSABLE' });
  }
  t.doesNotThrow(() => checkMountpoint(join(path, 'mnt'), reserved(path)));
  t.doesNotThrow(() => checkMountpoint(join(path, 'mnt'), reserved(`${path}/mnt2`, true)));
  t.end();
});

const log = (): void => undefined;

async function refused(mountpoint: string): Promise<PinfsError> {
  try {
    await usableMountpoint(mountpoint, log);
  } catch (error) {
    if (error instanceof PinfsError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

void t.test(
  'a directory can be a mountpoint, empty or not, and comes back as its real path',
  async (t) => {
    const base = t.testdir({ full: { file: '' }, empty: {}, link: t.fixture('symlink', 'full') });
    const real = realpathSync(base);
    t.equal(await usableMountpoint(`${base}/full`, log), `${real}/full`);
    t.equal(await usableMountpoint(`${base}/empty/`, log), `${real}/empty`);
    t.equal(await usableMountpoint(`${base}/link`, log), `${real}/full`);
  },
);

void t.test('what is no directory is refused, each with its reason', async (t) => {
  const base = t.testdir({
    file: '',
    loop: t.fixture('symlink', 'loop'),
    dangling: t.fixture('symlink', 'absent'),
  });
  const reasons = {
    absent: /does not exist/,
    file: /not a directory/,
    'file/below': /not a directory/,
    loop: /round in symlinks/,
    dangling: /does not exist/,
  };
  for (const [name, reason] of Object.entries(reasons)) {
    const error = await refused(`${base}/${name}`);
    t.equal(error.code, 'MOUNTPOINT_UNUSABLE', name);
    t.match(error.message, reason);
  }
});

void t.test('a path that libfuse would cut is refused', async (t) => {
  let path = t.testdir({});
  for (let depth = 0; depth < 5; depth++) path += `/${'d'.repeat(220)}`;
  mkdirSync(path, { recursive: true });
  const error = await refused(path);
  t.equal(error.code, 'MOUNTPOINT_UNUSABLE');
  t.match(error.message, /longer than/);
});
