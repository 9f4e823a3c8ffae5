import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { errorCode } from '../lib/format/errno.js';
import { directory, file, makeRepository, nested } from '../lib/publish/write-repository.js';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { pinfs } from './cli.js';
import { needsDriver } from './machine.js';
import { makeRandom } from './random-model.js';
import { helper, scene } from './scene.js';

// Many processes with one cache, in which a tenth of what they read has room: each evicts what others have just read.

const crowd = Number(process.env['PINFS_CROWD'] ?? '4');
/** So many of them mount; the others open the repository themselves, and read at random. */
const mounting = Math.min(10, Math.ceil(crowd / 2));
const directories = 12;
const filesEach = 40;
const mebi = 2 ** 20;
const limitBytes = 2 * mebi;
/** Of the records beside the limit, and of the counters. */
const recordsBytes = 3 * mebi;
/** What one of them may have under way: objects that came and are being put away. */
const underWayBytes = 2 * mebi;

const sizes = makeRandom(3);
const contents = new Map<string, Buffer>();
const tree = Object.fromEntries(
  Array.from({ length: directories }, (_, at) => {
    const entries = Object.fromEntries(
      Array.from({ length: filesEach }, (_, index) => {
        const size = index === 0 ? 300_000 : sizes.below(70_000);
        const content = Buffer.alloc(size, `file ${index} of ${at}, ${sizes.below(2 ** 31)}\n`);
        contents.set(`d${at}/f${index}`, content);
        return [`f${index}`, file(content)];
      }),
    );
    return [`d${at}`, at % 3 === 0 ? nested(entries) : directory(entries)];
  }),
);
const made = makeRepository({
  fqrn: 'crowd.example.org',
  revisions: [{ tree, tags: { v1: '' } }],
});

/** What all files below a directory take on the disk (bytes). */
function diskUse(path: string): number {
  let bytes = 0;
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
    try {
      bytes += lstatSync(join(path, name)).blocks * 512;
    } catch (thrown) {
      // It went meanwhile.
      if (errorCode(thrown) !== 'ENOENT') throw thrown;
    }
  }
  return bytes;
}

/** What one of those found that do not mount (crowd-reader.ts). */
async function readItself(args: readonly string[]): Promise<unknown> {
  const count = String(crowd > 10 ? 30 : contents.size);
  const reader = spawn(process.execPath, [helper('crowd-reader'), ...args, count], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = [...contents].map(
    ([path, content]) => `${path} ${createHash('sha256').update(content).digest('hex')}\n`,
  );
  reader.stdin.end(lines.join(''));
  const [out] = await Promise.all([text(reader.stdout), once(reader, 'close')]);
  const code = reader.exitCode;
  return code === 0 ? (JSON.parse(out) as unknown) : `ended with ${String(code)}`;
}

void t.test(
  `${crowd} processes read ten times what their cache holds: no wrong byte, no error, the limit kept`,
  { ...needsDriver('kernel'), timeout: 120_000 + crowd * 15_000 },
  async (t) => {
    const total = [...contents.values()].reduce((sum, { length }) => sum + length, 0);
    t.ok(total > 10 * limitBytes * 0.9, `${total} bytes`);
    const here = scene(t, 'kernel');
    const server = await startBadServer(made.files, made.fqrn);
    t.teardown(() => server.close());
    const key = join(here.work, 'key.pub');
    writeFileSync(key, made.masterKey);
    const args = ['--key', key, '--cache-limit', String(limitBytes)];
    const mounts: string[] = [];
    for (let index = 0; index < mounting; index++)
      mounts.push(await here.mount({ source: `${server.url}@v1`, at: `mnt${index}`, args }));
    const cache = here.directory('cache');
    const most = limitBytes + recordsBytes + crowd * underWayBytes;
    let peak = 0;
    let isOver = false;
    const watch = async (): Promise<void> => {
      while (!isOver) {
        peak = Math.max(peak, diskUse(cache));
        await delay(100);
      }
    };
    const read = async (mountpoint: string, index: number): Promise<number> => {
      const paths = [...contents.keys()];
      const random = makeRandom(index + 1);
      let wrong = 0;
      // Each in an order of its own: some walk, some jump.
      for (let count = 0; count < paths.length; count++) {
        const at =
          index % 2 === 0 ? (count + index * 37) % paths.length : random.below(paths.length);
        const path = paths[at] ?? '';
        const found = await readFile(join(mountpoint, path));
        if (!found.equals(contents.get(path) ?? Buffer.alloc(0))) wrong++;
      }
      return wrong;
    };
    const openers = Array.from({ length: crowd - mounting }, (_, index) =>
      readItself([`${server.url}@v1`, key, cache, String(limitBytes), String(index + 1000)]),
    );
    const watching = watch();
    const wrong = await Promise.all(mounts.map(read));
    const results = await Promise.all(openers);
    isOver = true;
    await watching;
    t.comment(`${peak} bytes at most, of ${most}`);
    t.strictSame(wrong, new Array<number>(mounting).fill(0), 'each byte is right');
    const right = { wrong: 0, faults: [] };
    t.strictSame(results, new Array<object>(crowd - mounting).fill(right), 'with no mount as well');
    t.ok(peak <= most, `${peak} bytes of ${most}`);
    for (const mountpoint of mounts) {
      const status = (await here.status(mountpoint))?.status;
      t.strictSame(status?.errors, {}, 'no error');
      t.notOk(status?.store.notStored, 'all could be stored');
    }
    for (const mountpoint of mounts) await here.umount(mountpoint);
    t.ok(diskUse(cache) <= limitBytes + recordsBytes, 'in the end the limit is kept');
    const { code, stdout } = await pinfs(['cache', 'verify', '--json', '--cache', cache]);
    t.equal(code, 0, stdout);
  },
);
