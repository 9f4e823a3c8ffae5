import t from 'tap';
import { serveControl } from './control/control.js';
import { temporaryDirectory } from '../testing/fakes/stub-mount.js';
import { explainBelow, placeBelow, type ExplainParts } from './explain.js';
import type { Explanation } from '../repository/use/explain.js';

void t.test('a path is found below its mount with no look into the mount', (t) => {
  const touched: string[] = [];
  const links: Readonly<Record<string, string>> = { '/data': '/cvmfs', '/home/sw': '../data/a/x' };
  const linkAt = (path: string): string | undefined => {
    touched.push(path);
    return links[path];
  };
  const mounts = new Set(['/cvmfs/a', '/cvmfs/a/inner']);
  const at = (path: string) => placeBelow(path, mounts, linkAt);
  t.same(at('/cvmfs/a/b/c'), { mountpoint: '/cvmfs/a', path: '/b/c' });
  t.same(at('/cvmfs/a'), { mountpoint: '/cvmfs/a', path: '' });
  t.same(at('/data/a/b'), { mountpoint: '/cvmfs/a', path: '/b' });
  t.same(at('/home/sw/y'), { mountpoint: '/cvmfs/a', path: '/x/y' });
  t.equal(at('/cvmfs/b'), undefined);
  t.notOk(touched.some((path) => path.startsWith('/cvmfs/a')));
  t.equal(
    placeBelow('/loop/x', mounts, () => '/loop'),
    undefined,
  );
  t.end();
});

const explanation: Explanation = {
  repository: 'test.example.org',
  rootHash: 'a'.repeat(40),
  path: '/x',
  type: 'file',
  size: 1,
  objects: [],
  unlisted: 0,
  absent: { objects: 0, bytes: 0 },
  problem: null,
  verdict: 'here',
  summary: 'all is here',
};

void t.test('the process of the mount is asked; else the cache is looked at', async (t) => {
  const { path: directory, remove } = temporaryDirectory();
  t.teardown(remove);
  const refuse = () => Promise.reject(new Error('not asked'));
  const asked: string[] = [];
  let answer: () => Promise<unknown> = () => Promise.resolve(explanation);
  const control = await serveControl(
    directory,
    {
      mountpoint: '/nowhere/mnt',
      pid: process.pid,
      since: '2020-01-01T00:00:00.000Z',
      source: 'http://127.0.0.1/test.example.org@tag',
      cache: '/nowhere/cache',
    },
    {
      status: () => ({ state: 'running' }),
      unmount: refuse,
      repin: refuse,
      leaveCache: refuse,
      record: refuse,
      explain: (path) => {
        asked.push(path);
        return answer();
      },
    },
  );
  const opened: unknown[] = [];
  const parts: ExplainParts = {
    directories: [directory],
    mounts: [],
    timeoutMs: 200,
    fromCache: (options) => {
      opened.push(options);
      return Promise.resolve(explanation);
    },
  };
  const explained = () => explainBelow('/nowhere/mnt/x/ä', parts);
  t.match(await explained(), { process: 'answered', mountpoint: '/nowhere/mnt', verdict: 'here' });
  t.same(asked, ['/x/\xc3\xa4'], 'the bytes of the path');
  t.same(opened, []);
  answer = () => new Promise(() => undefined);
  t.match(await explained(), { process: 'silent', verdict: 'here' });
  t.same(opened, [
    { source: 'http://127.0.0.1/test.example.org@tag', offline: true, cache: '/nowhere/cache' },
  ]);
  answer = () => Promise.resolve({ verdict: 'other' });
  t.match(await explained(), { process: 'silent' }, 'an answer that is none');
  await t.rejects(explainBelow('/elsewhere', parts), { code: 'NOT_MOUNTED' });
  await control.close();
});
