import { cpSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { objectPath, parseHash } from './format/hash.js';
import { parseManifest } from './format/manifest.js';
import { PinfsError } from './format/errors.js';
import { nextCheck, refresh } from './repository/follow.js';
import { openRepository } from './repository/open.js';
import type { Repository } from './repository/repository.js';
import { startBadServer } from './testing/servers/bad-server.js';
import { changedManifest, expiredWhitelist, openBench, readText } from './testing/bench.js';
import { promised, sameTree, treeOf, type SeenTree } from './testing/suites/promised.js';
import { file, makeRepository, type MadeRevision } from './publish/write-repository.js';

// What must always hold (lib/README.md names the promises): P1, P2, P5 and P7. The others are in
// promises-local.test.ts, and those about mounts in native-test.

const { made, first, second } = promised;
const { fqrn } = made;
const truth = new Map<MadeRevision, SeenTree>();

/** What a revision shows when nothing is wrong. */
async function truthOf(revision: MadeRevision): Promise<SeenTree> {
  const known = truth.get(revision);
  if (known !== undefined) return known;
  const ending: (() => unknown)[] = [];
  const bench = await openBench({ teardown: (clean) => ending.push(clean) }, made);
  const seen = await treeOf(await bench.open(revision.rootHash.text));
  for (const end of ending) await end();
  truth.set(revision, seen);
  return seen;
}

void t.test('P1 no byte of any object can be changed, swapped or cut on its way', async (t) => {
  const expected = await truthOf(second);
  const objects = [...made.files.keys()].filter((path) => path.startsWith('data/'));
  // One way for all objects, and each of the others for every third.
  const tamper: Readonly<Record<string, (bytes: Buffer, index: number) => Buffer>> = {
    flipped: (bytes) =>
      bytes.map((byte, at) => (at === bytes.length >> 1 ? byte ^ 1 : byte)) as Buffer,
    swapped: (_, index) =>
      made.files.get(objects[(index + 1) % objects.length] ?? '') ?? Buffer.alloc(0),
    cut: (bytes) => bytes.subarray(0, bytes.length - 1),
    longer: (bytes) => Buffer.concat([bytes, Buffer.from([0])]),
  };
  for (const [name, change] of Object.entries(tamper)) {
    const bench = await openBench(t, made);
    const turn = Object.keys(tamper).indexOf(name);
    for (const [index, path] of objects.entries()) {
      if (turn > 0 && index % 3 !== turn - 1) continue;
      const good = made.files.get(path) ?? Buffer.alloc(0);
      bench.files.set(path, Buffer.from(change(good, index)));
      const pin = second.rootHash.text;
      const options = { keys: [], cache: join(bench.work, `${index}`) };
      const opened = await bench.open(pin, options).catch((error: unknown) => error as PinfsError);
      if (!(opened instanceof Error)) {
        const { wrong, failed } = sameTree(await treeOf(opened), expected);
        t.same(wrong, [], `${name} ${path}`);
        const needed = bench.server.count(path) > 0;
        t.equal(failed.length > 0, needed, `${name} ${path}: damage is an error, not silence`);
        await opened.close();
      } else t.equal(opened.exit, 5, `${name} ${path}`);
      bench.files.set(path, good);
      bench.server.reset();
    }
  }
});

void t.test('P1 no byte in the cache is trusted because it lies there', async (t) => {
  const expected = await truthOf(second);
  const bench = await openBench(t, made);
  const opened = await bench.open(second.rootHash.text);
  await treeOf(opened);
  await opened.close();
  const files = ['objects', 'segments'].flatMap((folder) => {
    const path = join(bench.work, 'cache', folder);
    const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
    return names.map((name) => join(path, name)).filter((file) => statSync(file).isFile());
  });
  t.ok(files.length > 1);
  const poison: Readonly<Record<string, (path: string, index: number) => void>> = {
    'one bit, with size and time as before': (path) => {
      const { atime, mtime } = statSync(path);
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      chmodSync(path, 0o644);
      writeFileSync(path, bytes);
      utimesSync(path, atime, mtime);
    },
    'a bit of each kilobyte': (path) => {
      const bytes = readFileSync(path);
      for (let at = 100; at < bytes.length; at += 1024) bytes[at] = (bytes[at] ?? 0) ^ 1;
      chmodSync(path, 0o644);
      writeFileSync(path, bytes);
    },
    'another object in its place': (path, index) => {
      cpSync(files[(index + 1) % files.length] ?? '', `${path}.new`);
      renameSync(`${path}.new`, path);
    },
  };
  for (const [name, change] of Object.entries(poison)) {
    const copy = join(bench.work, name);
    for (const options of [{ offline: true }, { offline: false }]) {
      rmSync(copy, { recursive: true, force: true });
      cpSync(join(bench.work, 'cache'), copy, { recursive: true, preserveTimestamps: true });
      chmodSync(copy, 0o700);
      files.forEach((path, index) => {
        const at = path.replace(join(bench.work, 'cache'), copy);
        if (statSync(at).size > 0) change(at, index);
      });
      const again = await bench
        .open(second.rootHash.text, { ...options, cache: copy })
        .catch((error: unknown) => error as PinfsError);
      if (again instanceof Error) {
        t.equal(again.code, 'SOURCE_OFFLINE', name);
        continue;
      }
      const { wrong, failed } = sameTree(await treeOf(again), expected);
      t.same(wrong, [], name);
      // One bit of a segment is one of a single object: with no source that is lost, and nothing else.
      if (options.offline) t.equal(failed.length, 1, name);
      else t.equal(failed.length, 0, `${name}: with a source all is fetched again`);
      await again.close();
    }
  }
});

void t.test('P1 one object under two compressions is never taken for the other', async (t) => {
  const text = 'plain text '.repeat(500);
  const tree = { packed: file(text), claimed: file('x') };
  const sql = `UPDATE catalog SET hash=(SELECT hash FROM catalog WHERE name='packed'),
    flags=flags|0x800 WHERE name='claimed';`;
  const probe = makeRepository({ revisions: [{ tree }] });
  const stored = [...probe.files].find(
    ([path, bytes]) => /[0-9a-f]$/.test(path) && bytes.length > 20,
  );
  if (stored === undefined) throw new Error('there is no such object');
  const [, bytes] = stored;
  const sized = `${sql} UPDATE catalog SET size=${bytes.length} WHERE name='claimed';`;
  const both = makeRepository({ revisions: [{ tree, sql: sized }] });
  for (const order of [
    ['/packed', '/claimed'],
    ['/claimed', '/packed'],
  ]) {
    const bench = await openBench(t, both);
    for (const round of ['first', 'from the cache']) {
      const opened = await bench.open();
      for (const path of order) {
        const expected = path === '/packed' ? text : bytes.toString();
        t.equal(await readText(opened, path), expected, `${path} ${round}`);
      }
      await opened.close();
    }
  }
});

/** Everything that was named once: the head, tags, a date, a root hash. */
const pins = [undefined, 'v1', 'v2', '2020-01-01', first.rootHash.text, second.rootHash.text];

async function openAll(open: (pin?: string) => Promise<Repository>): Promise<SeenTree[]> {
  const trees: SeenTree[] = [];
  for (const pin of pins) {
    const opened = await open(pin);
    trees.push(await treeOf(opened));
    await opened.close();
  }
  return trees;
}

void t.test('P2 what mounted once mounts with no network, whatever year it is', async (t) => {
  const bench = await openBench(t, made);
  const before = await openAll((pin) => bench.open(pin));
  t.ok(before.every((tree) => [...tree.values()].every(({ failed }) => failed === undefined)));
  const states: Readonly<Record<string, () => void>> = {
    'no network': () => bench.server.behave(() => true, 'reset'),
    'a login page for everything': () => bench.server.behave(() => true, 'html'),
    'everything is gone': () => bench.server.behave(() => true, 'missing'),
    'empty answers': () => bench.server.behave(() => true, 'empty'),
    'the whitelist has expired': () => bench.files.set('.cvmfswhitelist', expiredWhitelist(fqrn)),
  };
  for (const [name, change] of Object.entries(states)) {
    for (const year of ['2030', '2199']) {
      bench.server.reset();
      bench.setClock(`${year}-06-01T00:00:00Z`);
      change();
      t.same(await openAll((pin) => bench.open(pin)), before, `${name}, ${year}`);
    }
    bench.files.set('.cvmfswhitelist', made.files.get('.cvmfswhitelist') ?? Buffer.alloc(0));
  }
  bench.setClock('1971-01-01T00:00:00Z');
  t.same(await openAll((pin) => bench.open(pin)), before, 'a clock that was never set');
});

void t.test('P2 any honest copy will do: another place, another way', async (t) => {
  const expected = await truthOf(first);
  const bench = await openBench(t, made);
  const directory = made.writeTo(join(bench.work, 'copy'));
  bench.server.behave(() => true, 'missing');
  const options = { keys: [bench.key], cache: join(bench.work, 'other') };
  for (const pin of ['v1', first.rootHash.text]) {
    const source = `${directory}@${pin}`;
    const opened = await openRepository({ source, ...options }, bench.environment);
    t.teardown(() => opened.close());
    t.same(sameTree(await treeOf(opened), expected), { wrong: [], failed: [] });
  }
  // A copy that was damaged on the way once, is asked for again.
  bench.server.reset();
  for (const path of made.files.keys()) {
    if (path.startsWith('data/')) bench.server.behave(path, 'wrong-content', 1);
  }
  const again = await bench.open(first.rootHash.text, { keys: [] });
  t.same(sameTree(await treeOf(again), expected), { wrong: [], failed: [] });
});

void t.test('P2 what is damaged or missing today is asked for again tomorrow', async (t) => {
  const bench = await openBench(t, made);
  const opened = await bench.open('v2');
  for (const behaviour of ['missing', 'error', 'bit-flipped', 'truncated', 'reset'] as const) {
    bench.server.behave(/^data\//, behaviour);
    const { failed } = sameTree(await treeOf(opened), await truthOf(second));
    t.ok(failed.length > 0, behaviour);
    bench.server.reset();
    // Failures are remembered for a short while, by the clock of the store.
    bench.setClock(`2031-01-0${1 + Math.min(8, behaviour.length)}T00:00:00Z`);
  }
  t.same(sameTree(await treeOf(opened), await truthOf(second)), { wrong: [], failed: [] });
});

void t.test(
  'P5 a pin gives the same tree anywhere: inodes, order of loading, way, place',
  async (t) => {
    const expected = await truthOf(second);
    const zone = process.env['TZ'];
    t.teardown(() => {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    });
    for (const place of ['Pacific/Kiritimati', 'America/Los_Angeles', 'UTC']) {
      process.env['TZ'] = place;
      const bench = await openBench(t, made);
      const directory = made.writeTo(join(bench.work, 'elsewhere'));
      for (const pin of ['v2', '2020-01-02', '2020-01-02T23:59:59Z', second.rootHash.text]) {
        for (const source of [bench.server.url, directory]) {
          const environment = { ...bench.environment, variables: { HOME: '/nowhere', TOKEN: 'x' } };
          const options = { keys: [bench.key], cache: join(bench.work, place.replace('/', '-')) };
          const opened = await openRepository(
            { source: `${source}@${pin}`, ...options },
            environment,
          );
          t.teardown(() => opened.close());
          // The other way round, and by name before anything was listed.
          for (const path of [...expected.keys()].reverse()) {
            await opened.run(() => opened.filesystem.resolve(path));
          }
          t.same(await treeOf(opened), expected, `${place} ${pin}`);
        }
      }
      const early = await bench.open('2020-01-01T23:59:59Z');
      t.equal(
        early.descriptor.identity.rootHash,
        first.rootHash.text,
        'a second before the next day',
      );
    }
  },
);

void t.test('P5 what is published later changes no pin', async (t) => {
  const grown = makeRepository({
    revisions: [...promised.revisions, { tree: { file: file('three') }, tags: { v3: 'new' } }],
  });
  const bench = await openBench(t, grown);
  const expected = await truthOf(second);
  for (const pin of ['v2', '2020-01-02', second.rootHash.text]) {
    t.same(await treeOf(await bench.open(pin)), expected, pin);
  }
});

void t.test('P7 nobody is asked but who was named', async (t) => {
  const bench = await openBench(t, made);
  const other = await startBadServer(made.files, fqrn);
  t.teardown(() => other.close());
  // http_proxy names somebody.
  const names = ['HTTP_PROXY', 'https_proxy', 'ALL_PROXY', 'CVMFS_HTTP_PROXY'];
  for (const name of names) process.env[name] = `http://127.0.0.1:${other.port}`;
  t.teardown(() => names.forEach((name) => Reflect.deleteProperty(process.env, name)));
  const where = { status: 302, headers: { Location: `${other.url}/.cvmfspublished` } };
  for (const match of ['.cvmfspublished', /^data\//]) {
    bench.server.behave(match, where);
    const options = { cache: join(bench.work, String(match).length.toString()) };
    const pin = match === '.cvmfspublished' ? 'v1' : first.rootHash.text;
    await t.rejects(bench.open(pin, { ...options, keys: [] }), { code: /SOURCE_REDIRECT|NO_KEY/ });
    await t.rejects(bench.open(undefined, options), { code: 'SOURCE_REDIRECT', exit: 4 });
    bench.server.reset();
  }
  await treeOf(await bench.open('v2'));
  t.equal(other.requests.length, 0, 'neither by a redirection nor by the environment');
  bench.server.reset();
  for (const pin of pins) await bench.open(pin, { offline: true }).catch(() => undefined);
  t.equal(bench.server.requests.length, 0, '--offline');
});

void t.test('P7 external files are asked for only where someone says they lie', async (t) => {
  const outside = makeRepository({
    revisions: [{ tree: { [`..`.padEnd(3, 'x')]: file('o', { external: true }) } }],
  });
  const bench = await openBench(t, outside);
  const opened = await bench.open();
  const asked = bench.server.requests.length;
  await t.rejects(readText(opened, '/..x'), { code: 'OBJECT_MISSING', message: /external server/ });
  t.equal(bench.server.requests.length, asked);
  const files = new Map([...outside.external].map(([path, bytes]) => [path.slice(1), bytes]));
  const other = await startBadServer(files, fqrn);
  t.teardown(() => other.close());
  const allowed = await bench.open(undefined, { external: other.url });
  t.equal(await readText(allowed, '/..x'), 'o');
  t.same(
    other.requests.map(({ path }) => path),
    ['..x'],
  );
});

void t.test(
  'P7 what is not the newest that was verified is never shown as if it were',
  async (t) => {
    const bench = await openBench(t, made);
    const mounted = await bench.open();
    t.equal(mounted.verdict.status, 'verified');
    const changes: readonly (readonly [string, Buffer])[] = [
      ['ROLLBACK', first.manifest],
      ['ROLLBACK', changedManifest(second, { T: String(first.time) })],
      ['ROLLBACK', changedManifest(second, { S: '1' })],
      ['MANIFEST_MALFORMED', Buffer.from('<html>')],
    ];
    for (const [code, manifest] of changes) {
      bench.files.set('.cvmfspublished', manifest);
      const head = await bench.open();
      t.match(head.verdict, { status: 'offline', reasons: [{ code }] });
      t.match(head.verdict.summary, /last revision verified here/);
      t.equal(head.descriptor.identity.rootHash, second.rootHash.text);
      t.equal(nextCheck(head), 180, 'and asked again soon, whatever the TTL');
    }
    const refusals: readonly (readonly [string, Buffer])[] = [
      ['REVISION_CHANGED', changedManifest(second, { C: first.rootHash.text })],
      ['MANIFEST_NAME_MISMATCH', changedManifest(second, { N: 'other.example.org' })],
      ['MANIFEST_ROOT_PATH', changedManifest(second, { R: '0'.repeat(32) })],
      ['MANIFEST_SIGNATURE', Buffer.concat([second.manifest.subarray(0, -1), Buffer.from('x')])],
    ];
    for (const [code, manifest] of refusals) {
      bench.files.set('.cvmfspublished', manifest);
      await t.rejects(bench.open(), { code, exit: 3 });
      await t.rejects(refresh(mounted), { code }, 'a mount is told, and stays');
    }
    t.equal(mounted.descriptor.identity.rootHash, second.rootHash.text);
  },
);

void t.test('P7 two answers to one question are refused, also when each is signed', async (t) => {
  const bench = await openBench(t, made);
  const twin = makeRepository({
    revisions: [...promised.revisions.slice(0, 1), { tree: { file: file('twin') } }],
  });
  await bench.open();
  for (const [path, bytes] of twin.files) bench.files.set(path, bytes);
  await t.rejects(bench.open(), {
    code: 'REVISION_CHANGED',
    message: new RegExp(second.rootHash.text),
  });
  await t.rejects(bench.open('trunk'), { code: 'REVISION_CHANGED' });
  await t.rejects(bench.open('v2'), { code: 'REVISION_CHANGED' });
  t.equal((await bench.open(second.rootHash.text)).verdict.status, 'pinned', 'a hash is a hash');
});

void t.test('P7 the history of another repository, or a changed one, moves no tag', async (t) => {
  const bench = await openBench(t, made);
  await bench.open('v1');
  const foreign = makeRepository({
    fqrn: 'other.example.org',
    revisions: [{ tree: {}, tags: { v1: '' } }],
  });
  const moved = makeRepository({ revisions: [{ tree: {} }, { tree: {}, tags: { v1: 'moved' } }] });
  const cases = { HISTORY_NAME_MISMATCH: foreign, TAG_MOVED: moved } as const;
  for (const [code, { files, head }] of Object.entries(cases)) {
    for (const [path, bytes] of files) if (path.startsWith('data/')) bench.files.set(path, bytes);
    const manifest = parseManifest(head.manifest);
    const history = manifest instanceof PinfsError ? undefined : manifest.history;
    if (history === undefined) throw new Error('no history');
    bench.files.set('.cvmfspublished', changedManifest(second, { H: history.text }));
    await t.rejects(bench.open('v1'), { code }, code);
    t.equal(
      (await bench.open('v1', { offline: true })).descriptor.identity.rootHash,
      first.rootHash.text,
    );
  }
  const root = parseHash(first.rootHash.text);
  t.ok(root && bench.files.has(objectPath({ hash: root, kind: 'catalog' })));
});
