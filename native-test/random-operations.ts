import { fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { ByteString } from '../lib/format/bytes.js';
import { defaultDeadline } from '../lib/mount/options.js';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import { testCertificate } from '../lib/publish/keys.js';
import {
  makeRepository,
  signManifest,
  type DirectorySpec,
  type MadeRepository,
} from '../lib/publish/write-repository.js';
import { isRoot, needsAll, needsDriver, type DriverName } from './machine.js';
import { needsKoffi } from './random-calls.js';
import { groundOf, type Ground } from './random-choose.js';
import type { DaemonSpec, FromDaemon } from './random-daemon.js';
import { Difference, startGame, type Game } from './random-game.js';
import {
  allPlaces,
  makeRandom,
  makeRoot,
  mutate,
  namePool,
  without,
  type Maker,
} from './random-model.js';
import { helper, scene, shell, type Scene } from './scene.js';

const seconds = Number(process.env['PINFS_RANDOM_SECONDS'] ?? '10');
const seed = Number(process.env['PINFS_SEED'] ?? randomInt(2 ** 31));
const players = 3;

/**
 * Random operations by several processes, over one driver, against an oracle: on a pin, and on a
 * head whose tree changes in between. PINFS_SEED repeats a run, PINFS_RANDOM_SECONDS says how long
 * each of them lasts.
 */
export function randomOperations(driver: DriverName): void {
  const needs = needsAll(needsDriver(driver), needsKoffi());
  const timeout = (seconds + 90) * 1000;
  t.setTimeout(4 * timeout);
  const test = (name: string, run: (t: Test) => Promise<void>) => {
    void t.test(
      `${driver}: random operations on ${name}, seed ${seed}`,
      { ...needs, timeout },
      async (t) => {
        try {
          await run(t);
        } catch (thrown) {
          if (!(thrown instanceof Difference)) throw thrown;
          t.fail(thrown.message);
        }
      },
    );
  };
  test('a pin', (t) => onPin(t, driver));
  test('a head that moves', (t) => onHead(t, driver));
  if (driver === 'kernel') {
    if (isRoot) test('a pin with passthrough', (t) => onPin(t, driver, true));
    test('a head that moves, told to an older kernel', (t) => onHead(t, driver, beforeEpochs));
  }
}

/** FUSE 7.44 brought a word with which all names are given up; before, each is named. */
const beforeEpochs = 43;

interface Stage {
  readonly here: Scene;
  readonly server: BadServer;
  readonly files: Map<string, Buffer>;
  readonly key: string;
  readonly maker: Maker;
  root: DirectorySpec;
  revision: number;
  rootHash: string;
}

async function setUp(t: Test, driver: DriverName): Promise<Stage> {
  const here = scene(t, driver);
  const files = new Map<string, Buffer>();
  const server = await startBadServer(files);
  t.teardown(() => server.close());
  // What isn't UTF-8 can't be carried by fuse-native.
  const maker = { random: makeRandom(seed), names: namePool(driver === 'kernel') };
  const key = join(here.work, 'key.pub');
  const root = makeRoot(maker);
  const stage: Stage = { here, server, files, key, maker, root, revision: 0, rootHash: '' };
  const made = publish(stage, root);
  writeFileSync(key, made.masterKey);
  return stage;
}

/** The next revision: its objects beside those of the earlier ones, its manifest in place of theirs. */
function publish(stage: Stage, root: DirectorySpec): MadeRepository {
  const { entries } = root;
  const attributes = without(root, 'type', 'entries');
  const revision = stage.revision + 1;
  const time = 1_600_000_000 + revision;
  const properties = { revision: String(revision) };
  const made = makeRepository({
    revisions: [{ tree: entries, root: attributes, time, properties, tags: { v1: 'this one' } }],
  });
  const lines = made.head.manifestLines.map((line) =>
    line.startsWith('S') ? `S${revision}` : line,
  );
  for (const [path, bytes] of made.files) stage.files.set(path, bytes);
  stage.files.set('.cvmfspublished', signManifest(lines, made.algorithm, testCertificate));
  Object.assign(stage, { root, revision, rootHash: made.head.rootHash.text });
  return made;
}

function startedGame(t: Test, driver: DriverName, mountpoint: string, passthrough = false): Game {
  const game = startGame({ driver, mountpoint, seed, players, passthrough });
  t.teardown(async () => {
    await game.close();
    t.comment(`${game.operations} operations`);
  });
  return game;
}

async function onPin(t: Test, driver: DriverName, passthrough = false): Promise<void> {
  const { here, server, key, maker, root } = await setUp(t, driver);
  const args = ['--key', key, ...(passthrough ? ['--passthrough'] : [])];
  const mountpoint = await here.mount({ source: `${server.url}@v1`, args });
  const game = startedGame(t, driver, mountpoint, passthrough);
  const ground = groundOf(root, [], maker.names);
  const end = performance.now() + seconds * 1000;
  do {
    await game.still(ground, 60);
    await game.whole(ground);
    if (isRoot) await forgetNames(mountpoint);
  } while (performance.now() < end);
  t.pass(`${game.operations} operations without a difference`);
  await game.close();
  await here.umount(mountpoint);
}

/** Has the kernel forget all names of this mount that nobody uses: what it forgets is asked for again. */
async function forgetNames(mountpoint: string): Promise<void> {
  await shell('mount -i -o remount,ro,nosuid,nodev "$1"', mountpoint);
}

interface Head {
  readonly mountpoint: string;
  /** Has the head asked for; resolves when what is new is applied. */
  readonly check: () => Promise<FromDaemon & { readonly kind: 'checked' }>;
}

async function mountHead(
  t: Test,
  driver: DriverName,
  stage: Stage,
  minor: number | undefined,
): Promise<Head> {
  const { here, server, key } = stage;
  const mountpoint = here.directory('head');
  const spec: DaemonSpec = {
    options: { source: server.url, keys: [key], cache: here.directory('head-cache') },
    mount: {
      ...{ mountpoint, driver, deadline: defaultDeadline, verbose: false },
      ...{ allowOther: false, suid: false, dev: false, noXattrs: false },
      log: join(here.work, 'head.log'),
    },
    ...(minor === undefined ? {} : { minor }),
  };
  const child = fork(helper('random-daemon'), [JSON.stringify(spec)], {
    cwd: '/',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  t.teardown(async () => {
    if (child.connected) child.disconnect();
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await exited;
    clearTimeout(late);
    await shell('fusermount3 -uz "$1" 2>/dev/null', mountpoint);
  });
  const hear = async () => {
    const [message] = (await Promise.race([
      once(child, 'message'),
      exited.then(() => [{ kind: 'refused', message: 'the daemon ended' }]),
    ])) as [FromDaemon];
    if (message.kind === 'refused') throw new Error(message.message);
    return message;
  };
  await hear();
  return {
    mountpoint,
    async check() {
      const answer = hear();
      child.send('check');
      const message = await answer;
      if (message.kind !== 'checked') throw new Error(`the daemon says ${message.kind}`);
      return message;
    },
  };
}

/** fuse-native can't tell the kernel that a head has moved: what it knows lives one second. */
const lifetime: Readonly<Record<DriverName, number>> = { kernel: 0, 'fuse-native': 1050 };

async function onHead(t: Test, driver: DriverName, minor?: number): Promise<void> {
  const stage = await setUp(t, driver);
  const { maker } = stage;
  const head = await mountHead(t, driver, stage, minor);
  const game = startedGame(t, driver, head.mountpoint);
  let ground = groundOf(stage.root, [], maker.names);
  const end = performance.now() + seconds * 1000;
  do {
    await game.whole(ground);
    await game.still(ground, 30);
    await game.still(ground, 30);
    const next = changedGround(stage, ground);
    publish(stage, next.root);
    const moving = game.moving(ground, next, 15);
    const [{ rootHash, problem }] = await Promise.all([head.check(), moving]);
    t.equal(rootHash, stage.rootHash, problem ?? `revision ${stage.revision} is applied`);
    game.moved();
    await wait(lifetime[driver]);
    await game.still(next, 15);
    ground = next;
  } while (performance.now() < end);
  t.pass(`${game.operations} operations, ${stage.revision} revisions, no difference`);
}

/** The tree after some changes; mostly few, now and then very many. */
function changedGround({ maker }: Stage, { root, places }: Ground): Ground {
  const { random } = maker;
  let next = root;
  const touched = new Set<ByteString>();
  for (let count = random.chance(0.1) ? 60 : 1 + random.below(10); count > 0; count--) {
    const mutation = mutate(maker, next);
    next = mutation.root;
    for (const path of mutation.touched) touched.add(path);
  }
  const all = new Set([...places, ...allPlaces(next)].map(({ path }) => path));
  const interesting = [...all].filter((path) => [...touched].some((at) => isWithin(path, at)));
  return groundOf(next, [...touched, ...interesting.slice(0, 200)], maker.names);
}

function isWithin(path: ByteString, at: ByteString): boolean {
  return at !== '' && (path === at || path.startsWith(`${at}/`));
}
