import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import {
  file,
  fingerprint,
  makeRepository,
  nested,
  signWhitelist,
  whitelistLines,
} from '../lib/publish/write-repository.js';
import type { Verdict } from '../lib/trust/verdict/verdict.js';
import { needsAll, needsDriver, needsProgram, type DriverName } from './machine.js';
import { run, scene, shell, type Scene } from './scene.js';

const made = makeRepository({
  // The shortest that is heeded (seconds).
  ttl: 10,
  revisions: [
    {
      tree: {
        changed: file('old\n'),
        gone: file('gone\n'),
        stays: file('stays\n'),
        nested: nested({ inside: file('old\n') }),
      },
      tags: { first: '' },
    },
    {
      tree: {
        changed: file('new and longer\n'),
        added: file('added\n'),
        stays: file('stays\n'),
        nested: nested({ inside: file('new\n') }),
      },
    },
  ],
});

const showAll = 'cd "$1" && ls && cat changed nested/inside && stat -c %s changed';

/** A mounted head goes over to the next revision by itself; a tag beside it stays. */
export function follows(driver: DriverName): void {
  const needs = needsAll(needsDriver(driver), needsProgram('getfattr'));
  const options = { ...needs, timeout: 240_000 };
  void t.test(`${driver}: a mounted head follows`, options, (t) => followHead(t, driver));
}

async function followHead(t: Test, driver: DriverName): Promise<void> {
  const [first, second] = made.revisions;
  if (first === undefined || second === undefined) throw new Error('two revisions were made');
  const here = scene(t, driver);
  const files = new Map(made.files).set('.cvmfspublished', first.manifest);
  const server = await startBadServer(files, made.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const args = ['--key', key];
  const head = await here.mount({ source: server.url, args, at: 'head' });
  const tag = await here.mount({ source: `${server.url}@first`, args, at: 'tag' });
  const old = 'changed\ngone\nnested\nstays\nold\nold\n4\n';
  t.equal((await shell(showAll, head)).stdout, old);

  files.set('.cvmfspublished', second.manifest);
  // Somebody looks all the time, so that the kernel has the old revision in its caches.
  let text = '';
  for (let look = 0; look < 600 && !text.startsWith('added'); look++) {
    text = (await shell(`sleep 0.1; ${showAll}`, head)).stdout;
  }
  const fresh = 'added\nchanged\nnested\nstays\nnew and longer\nnew\n15\n';
  // libfuse 2 can't be told, and may keep a name or a size for a second.
  if (driver === 'fuse-native') text = (await shell(`sleep 1.5; ${showAll}`, head)).stdout;
  t.equal(text, fresh, 'names, contents and sizes are those of the new revision');
  const missing = await shell('cat "$1/gone"', head);
  t.match(missing.stderr, /No such file/);
  t.equal((await shell(showAll, tag)).stdout, old, 'a tag does not move');
  const status = (await here.status(head))?.status;
  t.equal(status?.verdict.status, 'verified');
  await judgedAgain(t, here, head, files);
}

/** What status and attributes say of a head that stays is what its last judgement said; nobody is disturbed. */
async function judgedAgain(
  t: Test,
  here: Scene,
  head: string,
  files: Map<string, Buffer>,
): Promise<void> {
  const standing = run(
    'bash',
    [
      '-c',
      'cd "$1/nested" && echo in; for i in {1..600}; do [ -e "$2" ] && break; sleep 0.1; done; cat inside',
      '-',
      head,
      join(here.work, 'enough'),
    ],
    { timeout: 90_000 },
  );
  const until = async (expected: Partial<Judged>): Promise<void> => {
    let shown: readonly (Judged | undefined)[] = [];
    const matches = (judged: Judged | undefined) =>
      Object.entries(expected).every(([name, value]) => judged?.[name as keyof Judged] === value);
    for (let look = 0; look < 300; look++) {
      const attribute = await shell('getfattr --only-values -n user.pinfs.trust "$1"', head);
      const status = (await here.status(head))?.status?.verdict;
      shown = [
        judgedOf(status),
        judgedOf(JSON.parse(attribute.stdout || 'null') as Verdict | null),
      ];
      if (shown.every(matches)) break;
      await shell('sleep 0.2');
    }
    t.match(shown, [expected, expected]);
  };
  const lines = whitelistLines(made.fqrn, [fingerprint()], '20390101000000');
  files.set('.cvmfswhitelist', signWhitelist(lines));
  await until({ status: 'verified', expires: '2039-01-01T00:00:00Z' });
  const whitelist = files.get('.cvmfswhitelist') ?? Buffer.alloc(0);
  files.delete('.cvmfswhitelist');
  await until({ status: 'offline', expires: '2039-01-01T00:00:00Z', reason: 'WHITELIST_MISSING' });
  files.set('.cvmfswhitelist', whitelist);
  await until({ status: 'verified', reason: undefined });
  const minutes = await shell('getfattr --only-values -n user.expires "$1"', head);
  t.match(minutes.stdout, /^[0-3]$/);
  writeFileSync(join(here.work, 'enough'), '');
  const { code, stdout, stderr } = await standing;
  t.same(
    [code, stdout, stderr],
    [0, 'in\nnew\n', ''],
    'who stands in a directory stands there still',
  );
}

interface Judged {
  readonly status: string;
  readonly expires: string | undefined;
  readonly reason: string | undefined;
}

function judgedOf(verdict: Verdict | null | undefined): Judged | undefined {
  if (verdict === null || verdict === undefined) return undefined;
  const { status, whitelist, reasons } = verdict;
  return { status, expires: whitelist?.expires, reason: reasons[0]?.code };
}
