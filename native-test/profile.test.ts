import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { objectPath } from '../lib/format/hash.js';
import { writeProfileFile, readProfileFile } from '../lib/profile/profile-file.js';
import type { FirstUse } from '../lib/profile/profile.js';
import { directory, file, makeRepository, nested } from '../lib/publish/write-repository.js';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { inside, pinfs, pinfsOrThrow } from './cli.js';
import { needsMount } from './machine.js';

// A profile is learned, and used: by the requests that a server sees.

const count = 60;
const made = makeRepository({
  revisions: [
    {
      tree: {
        d: directory(
          Object.fromEntries(
            Array.from({ length: count }, (_, at) => [`f${at}`, file(`${at} `.repeat(300))]),
          ),
        ),
        n: nested({ one: file('one'.repeat(500)) }),
      },
    },
  ],
});
const objects = new Set([...made.files.keys()].filter((path) => path.startsWith('data/')));

/** A server, and a mount that runs `job` in the shell; what the server was asked for, in order, by then. */
async function stage(t: Test) {
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-of-profile-')));
  const [mountpoint, key] = [join(work, 'mnt'), join(work, 'key.pub')];
  mkdirSync(mountpoint);
  writeFileSync(key, made.masterKey);
  const server = await startBadServer(made.files, made.fqrn);
  t.teardown(async () => {
    await pinfs(['umount', '--force', mountpoint]);
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  let runs = 0;
  const run = async (options: readonly string[], job: () => Promise<unknown>) => {
    const seen = server.requests.length;
    const cache = ['--cache', join(work, `cache-${runs++}`)];
    const source = `${server.url}@${made.head.rootHash.text}`;
    await pinfsOrThrow(['mount', '--key', key, ...cache, ...options, source, mountpoint]);
    await job();
    const { stdout } = await pinfsOrThrow(['status', '--json']);
    const { mounts } = JSON.parse(stdout) as {
      mounts: { mountpoint: string; status: { profile: Record<string, number> | null } }[];
    };
    const status = mounts.find((one) => one.mountpoint === mountpoint)?.status;
    await pinfsOrThrow(['umount', mountpoint]);
    const asked = server.requests
      .slice(seen)
      .map(({ path }) => path.replace(/^.*\/data\//, 'data/'));
    return { asked: asked.filter((path) => objects.has(path)), profile: status?.profile };
  };
  return { work, mountpoint, run };
}

/** Waits for what the server is asked for ahead. */
async function settled(): Promise<void> {
  await sleep(1500);
}

void t.test(
  'a job is learned, and its objects come in its order the next time',
  needsMount,
  async (t) => {
    const { work, mountpoint, run } = await stage(t);
    const learned = join(work, 'job.profile');
    const order = Array.from({ length: count }, (_, at) => (at * 23) % count);
    const names = ['n/one', ...order.map((at) => `d/f${at}`)];
    await run(['--learn', learned, '--ahead', 'off'], () =>
      inside(mountpoint, `cat ${names.join(' ')} > /dev/null`),
    );
    t.ok(existsSync(learned), 'it is there when umount has ended');
    const { uses } = readProfileFile(learned);
    const files = uses.filter(({ kind }) => kind === 'file').map(({ path }) => path.slice(1));
    t.same(files, names);
    t.notOk(existsSync(`${learned}.trace`));

    const first = `cat ${names[0] ?? ''} > /dev/null`;
    const { asked, profile } = await run(['--profile', learned], async () => {
      await inside(mountpoint, first);
      await settled();
    });
    t.equal(new Set(asked).size, asked.length, 'nothing twice');
    t.match(profile, { asked: count + 1, stopped: 0 });
    t.ok(asked.length >= count + 1, `${asked.length} objects for one file that was read`);
  },
);

void t.test(
  'a hostile one costs what its bound allows, and reads nothing that is not there',
  needsMount,
  async (t) => {
    const { work, mountpoint, run } = await stage(t);
    const use = (path: string): FirstUse => {
      return { path, kind: 'file', chunk: 0, gapMs: 0, fingerprint: 'ff'.repeat(8) };
    };
    const hostile = join(work, 'hostile.profile');
    const header = { repository: 'other.example.org', rootHash: '', made: '', writer: '' };
    const many = Array.from({ length: 300 }, (_, at) => use(`/d/none${at}`));
    writeProfileFile(hostile, { header, uses: [...many, ...many, use('/d/f1'), use('/d/f1/x')] });
    const { asked, profile } = await run(['--profile', hostile], async () => {
      t.equal(await inside(mountpoint, 'cat d/f2'), '2 '.repeat(300));
      await settled();
    });
    t.match(profile, { asked: 1, absent: 601, stopped: 0 });
    const content = [...new Set(asked)].filter((path) => /[0-9a-f]$/.test(path));
    t.equal(content.length, 2, 'the file that was read, and the one that is there');

    const bound = join(work, 'bound.profile');
    const all = Array.from({ length: count }, (_, at) => use(`/d/f${at}`));
    writeProfileFile(bound, { header, uses: all });
    const bounded = await run(['--profile', bound, '--ahead', '2K'], settled);
    t.ok((bounded.profile?.['asked'] ?? 99) <= 4, 'no more waits than is allowed');
    const away = await run(['--profile', bound, '--ahead', 'off'], settled);
    t.match(away.profile, { asked: 0 });

    writeFileSync(bound, 'no profile');
    const refused = await pinfs(['mount', '--json', '--profile', bound, work, mountpoint]);
    t.match(JSON.parse(refused.stdout), { error: { code: 'PROFILE_MALFORMED' } });
    t.equal(objectPath({ hash: made.head.rootHash, kind: 'catalog' }).slice(0, 5), 'data/');
  },
);

void t.test('who goes another way is left alone, and it is counted', needsMount, async (t) => {
  const { work, mountpoint, run } = await stage(t);
  const profile = join(work, 'one.profile');
  const header = { repository: made.fqrn, rootHash: '', made: '', writer: '' };
  const uses = [0, 1, 2].map((at): FirstUse => {
    return { path: `/d/f${at}`, kind: 'file', chunk: 0, gapMs: 0, fingerprint: '00'.repeat(8) };
  });
  writeProfileFile(profile, { header, uses });
  const others = Array.from({ length: 40 }, (_, at) => `d/f${at + 10}`);
  const { profile: counts } = await run(['--profile', profile, '--ahead', '1K'], () =>
    inside(mountpoint, `cat ${others.join(' ')} > /dev/null`),
  );
  t.match(counts, { stopped: 1, used: 0 });
  t.ok((counts?.['strayed'] ?? 0) >= 32);
});
