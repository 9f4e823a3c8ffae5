import t from 'tap';
import { isRepositoryName } from './names.js';

t.test('names of repositories can be names of files', (t) => {
  for (const name of ['atlas.cern.ch', '127.0.0.1', 'legacy_aufs.cern.ch', 'a', 'A-b.c']) {
    t.ok(isRepositoryName(name), name);
  }
  const bad = ['', '.', '..', '.hidden', 'a/b', 'a\0', 'a\n', 'ä.example', 'a b', 'x'.repeat(61)];
  for (const name of bad) t.notOk(isRepositoryName(name), JSON.stringify(name));
  t.end();
});
