import t from 'tap';
import {
  checkFileLimit,
  fileShares,
  givesBackFiles,
  mountFilesMin,
  takeBackFiles,
  withFiles,
} from './file-budget.js';

const none = (): Error => Object.assign(new Error('too many'), { code: 'EMFILE' });

void t.test('what is kept open stays within the limit', (t) => {
  for (const limit of [mountFilesMin, 256, 512, 1024, 4096, 2 ** 20]) {
    const { objects, catalogs } = fileShares(limit);
    t.ok(objects >= 8 && catalogs >= 6, `${limit}`);
    t.ok(2 * (objects + catalogs) + 100 < limit, `${limit}: ${objects} + ${catalogs}`);
  }
  t.same(fileShares(undefined), { objects: 96, catalogs: 100 });
  t.same(fileShares(2 ** 20), { objects: 96, catalogs: 100 });
  t.ok(fileShares(10).objects > 0);
  t.end();
});

void t.test('a limit that is too small is said', (t) => {
  t.doesNotThrow(() => checkFileLimit(undefined));
  t.doesNotThrow(() => checkFileLimit(mountFilesMin));
  t.throws(() => checkFileLimit(128), {
    code: 'FILES_EXHAUSTED',
    message: /may open 128 files.*192/,
    advice: /ulimit -n/,
  });
  t.end();
});

void t.test('what is open for later is given back when there is need', (t) => {
  let kept = 3;
  const forget = givesBackFiles(() => kept > 0 && kept-- > 0);
  let tries = 0;
  const opened = withFiles(() => {
    tries += 1;
    if (kept > 1) throw none();
    return 'open';
  });
  t.same([opened, tries, kept], ['open', 3, 1]);
  const another = new Error('another');
  t.throws(
    () =>
      withFiles(() => {
        throw another;
      }),
    another,
  );
  t.equal(kept, 1, 'for nothing else');
  t.throws(
    () =>
      withFiles(() => {
        throw none();
      }),
    { code: 'EMFILE' },
    'it ends when nobody has anything',
  );
  t.equal(kept, 0);
  kept = 1;
  forget();
  t.notOk(takeBackFiles());
  t.end();
});
