import t from 'tap';
import { openBench, readText } from '../../testing/bench.js';
import { directory, file, makeSmallRepository, symlink } from '../../publish/write-repository.js';
import { walk } from './path.js';

const made = makeSmallRepository({
  etc: directory({ passwd: file('of the repository') }),
  deep: directory({
    inside: symlink('../etc/passwd'),
    up: symlink('../../etc/passwd'),
    around: symlink('here/../../etc/passwd'),
    here: directory({}),
  }),
  absolute: symlink('/etc/passwd'),
  own: symlink('/cvmfs/made.example.org/etc/passwd'),
  'own and out': symlink('/cvmfs/made.example.org/../../etc/passwd'),
  relative: symlink('../../../etc/passwd'),
  'through a link': symlink('top/etc/passwd'),
  top: symlink('..'),
  root: symlink('.'),
});

void t.test(
  'links are followed inside the repository, and refused where they leave it',
  async (t) => {
    const bench = await openBench(t, made);
    const repository = await bench.open('v1');
    for (const path of ['/deep/inside', '/deep/around', '/own', '/root/root/etc/passwd']) {
      t.equal(await readText(repository, path), 'of the repository', path);
    }
    const leaving: Record<string, string> = {
      '/absolute': '/absolute is a link to /etc/passwd',
      '/relative': '/relative is a link to ../../../etc/passwd',
      '/deep/up': '/deep/up is a link to ../../etc/passwd',
      '/root/deep/up': '/deep/up is a link to ../../etc/passwd',
      '/own and out': '/own and out is a link to /cvmfs/made.example.org/../../etc/passwd',
      '/through a link': '/top is a link to ..',
      '/top/etc/passwd': '/top is a link to ..',
    };
    for (const [path, message] of Object.entries(leaving)) {
      const expected = {
        code: 'NOT_FOUND',
        message: `${message}, which lies outside the repository`,
      };
      await t.rejects(walk(repository, path, true), expected, path);
    }
    t.match(await walk(repository, '/relative', false), { type: 'symlink' });
  },
);

void t.test(
  'a .. that the user gave stays at the root, as at the root of any system',
  async (t) => {
    const bench = await openBench(t, made);
    const repository = await bench.open('v1');
    for (const path of ['/../../etc/passwd', '../etc/passwd', '/root/../../etc/passwd']) {
      t.equal(await readText(repository, path), 'of the repository', path);
    }
    t.equal((await walk(repository, '/..', true)).path, '');
  },
);
