import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { file, makeRepository } from '../lib/publish/write-repository.js';
import { pinfsInProcess } from '../native-test/in-process.js';

const made = makeRepository({
  fqrn: 'sw.example.org',
  revisions: [{ tree: { a: file('one') }, tags: { first: '' } }, { tree: { b: file('two') } }],
});

interface Site {
  readonly pinfs: (...args: string[]) => Promise<{ code: number; stdout: string; stderr: string }>;
  readonly etc: string;
}

function site(t: Test, more: Readonly<Record<string, string>> = {}): Site {
  const work = t.testdir();
  const etc = join(work, 'etc');
  made.writeTo(join(work, 'servers'));
  const files = {
    'default.conf': 'CVMFS_TIMEOUT=5\nCVMFS_DEFAULT_DOMAIN=example.org\nCVMFS_STRICT_MOUNT=no\n',
    'default.local': 'CVMFS_TIMEOUT=7 # slow\nCVMFS_HTTP_PROXY=DIRECT\n',
    'domain.d/example.org.conf': `CVMFS_SERVER_URL="file://${work}/servers/@fqrn@"\nCVMFS_PUBLIC_KEY=${work}/k.pub\n`,
    '../k.pub': made.masterKey,
    ...more,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(etc, path)), { recursive: true });
    writeFileSync(join(etc, path), text);
  }
  const options = ['--config', etc, '--cache', join(work, 'cache')];
  return { etc, pinfs: (...args) => pinfsInProcess([...args, ...options]) };
}

t.test('each command takes a name', async (t) => {
  const { pinfs } = site(t);
  t.equal((await pinfs('ls', 'sw.example.org')).stdout, 'b\n');
  t.equal((await pinfs('cat', 'sw@first', '/a')).stdout, 'one');
  t.match(
    (await pinfs('info', 'sw@first')).stdout,
    /sw\.example\.org is .*servers\/sw\.example\.org/,
  );
  t.match((await pinfs('tags', 'sw')).stdout, /^first /m);
  const pinned = await pinfs('ls', 'sw', '--set', 'CVMFS_REPOSITORY_TAG=first');
  t.equal(pinned.stdout, 'a\n', 'with the pin of the site');
  const wrong = await pinfs('ls', 'sv.example.com');
  t.equal(wrong.code, 2);
  t.match(wrong.stderr, /no server is known for sv\.example\.com/);
});

t.test('config show tells of each value where it comes from and what becomes of it', async (t) => {
  const { pinfs, etc } = site(t);
  const { stdout, code } = await pinfs('config', 'show', 'sw');
  t.equal(code, 0);
  t.match(
    stdout,
    new RegExp(
      `^CVMFS_TIMEOUT +7 +${etc}/default.local:1  honoured\n +5 +${etc}/default.conf:1  overridden$`,
      'm',
    ),
  );
  t.match(stdout, /^CVMFS_STRICT_MOUNT +no +\S+ {2}not supported: /m);
  const json = JSON.parse(
    (await pinfs('config', 'show', 'sw', '--json', '--set', 'CVMFS_TIMEOT=1')).stdout,
  ) as {
    settings: { name: string; value: string | null }[];
  };
  const named = new Map(json.settings.map((setting) => [setting.name, setting]));
  t.match(named.get('CVMFS_TIMEOUT'), {
    value: '7',
    origin: { file: `${etc}/default.local`, line: 1 },
    overrode: [{ value: '5', origin: { line: 1 } }],
    handling: 'honoured',
  });
  t.match(named.get('CVMFS_TIMEOT'), {
    origin: { option: '--set' },
    handling: 'unknown',
    note: 'did you mean CVMFS_TIMEOUT?',
  });
});

t.test('config check ends with 1 where something would not work, with 0 otherwise', async (t) => {
  const fine = await site(t).pinfs('config', 'check');
  t.equal(fine.code, 0);
  t.equal(fine.stdout, '0 errors, 0 warnings\n');
  const warned = await site(t, {
    'default.local': 'CVMFS_HTTP_PROXYS=DIRECT\nCVMFS_HTTP_PROXY=DIRECT\n',
  }).pinfs('config', 'check', 'sw');
  t.equal(warned.code, 0);
  t.match(
    warned.stdout,
    /default\.local:1: warning: CVMFS_HTTP_PROXYS: .*\n {4}Did you mean CVMFS_HTTP_PROXY\?\n0 errors, 1 warnings/,
  );
  const { pinfs, etc } = site(t, { 'default.local': '\nCVMFS_HTTP_PROXY=$(cat /etc/proxy)\n' });
  const broken = await pinfs('config', 'check', 'sw', '--json');
  t.equal(broken.code, 1);
  t.match(JSON.parse(broken.stdout), {
    errors: 1,
    findings: [
      {
        severity: 'error',
        origin: { file: `${etc}/default.local`, line: 2 },
        mend: /NAME="value"/,
      },
    ],
  });
});
