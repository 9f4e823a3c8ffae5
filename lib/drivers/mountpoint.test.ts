import { mkdirSync, realpathSync } from 'node:fs';
import t from 'tap';
import { PinfsError } from '../format/errors.js';
import { usableMountpoint, recoverStale } from './mountpoint.js';

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

void t.test('a living directory is not taken for a stale mount', async (t) => {
  t.equal(await recoverStale(t.testdir({})), false);
  t.equal(await recoverStale('/proc'), false);
  t.equal(await recoverStale('/absent/absent'), false);
});
