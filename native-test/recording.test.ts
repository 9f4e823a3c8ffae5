import { spawn, spawnSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { accessesOf } from '../lib/trace/accesses.js';
import { readTraceFile } from '../lib/trace/read-trace-file.js';
import type { Access } from '../lib/trace/trace.js';
import { bulk } from './bulk.js';
import { pinfsAtOnce } from './in-process.js';
import { needsAll, needsDriver, needsRoot, type DriverName } from './machine.js';
import { scene, shell, type Scene } from './scene.js';

interface Recorded extends Scene {
  readonly source: string;
  readonly key: readonly string[];
}

async function recordedScene(t: Test, driver: DriverName): Promise<Recorded> {
  const here = scene(t, driver);
  const server = await startBadServer(bulk.files, bulk.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, bulk.masterKey);
  return { ...here, source: `${server.url}@v1`, key: ['--key', key] };
}

function read(file: string): { readonly end: string; readonly accesses: readonly Access[] } {
  const trace = readTraceFile(file);
  return { end: trace.end, accesses: [...accessesOf(trace)] };
}

/** Until something was recorded: on a busy machine the readers may be slow. */
async function grown(file: string): Promise<void> {
  const empty = statSync(file).size;
  for (let tries = 0; tries < 100 && statSync(file).size === empty; tries++) await wait(100);
}

const levelsOf = (accesses: readonly Access[], path: string): string[] =>
  accesses.filter((one) => one.operation === 'read' && one.path === path).map(({ level }) => level);

const options = (driver: DriverName) => ({ ...needsDriver(driver), timeout: 60_000 });
// In the slow order each object is denied once: then all of them were waited for.
const isSlowOrder = process.env['ALWAYS_MISS'] === '1';

void t.test('what was fetched, came ahead, and was here', options('kernel'), async (t) => {
  const here = await recordedScene(t, 'kernel');
  const { source, key, work } = here;
  const file = join(work, 'cold.trace');
  const cold = await here.mount({ source, args: [...key, '--record', file] });
  // Who pauses is waited for by what comes ahead, however busy the machine is.
  const command =
    'cat "$1"/whole "$1"/plain/file-3 > /dev/null && { head -c 400000; sleep 2; cat; } < "$1"/large > /dev/null';
  t.equal((await shell(command, cold)).code, 0);
  await here.umount(cold);
  const first = read(file);
  t.equal(first.end, 'complete');
  t.equal(levelsOf(first.accesses, '/whole')[0], 'fetched');
  const chunks = first.accesses.filter(
    ({ path, operation }) => path === '/large' && operation === 'read',
  );
  t.ok(chunks.some(({ level }) => level === 'ahead') || isSlowOrder, 'a chunk came ahead');
  t.equal(new Set(chunks.map(({ object }) => object)).size, 8, 'chunks are objects of their own');
  t.equal(
    chunks.reduce((sum, { length }) => sum + length, 0),
    1_500_000,
  );
  t.ok(chunks.every(({ pid, processName }) => pid > 0 && /^(cat|head)$/.test(processName)));
  t.ok(first.accesses.some(({ operation }) => operation === 'catalog'));
  const whole = first.accesses.find(({ path }) => path === '/whole');
  t.equal(whole?.plainSize, 300_000);
  const table = readTraceFile(file).objectTable;
  t.ok(
    Array.from(table.storedSizes).some((size) => size > 0),
    'what came has its stored size',
  );

  const warm = await here.mount({ source, at: 'warm', args: key });
  const second = join(work, 'warm.trace');
  const started = await pinfsAtOnce(['record', 'start', warm, second]);
  t.equal(started.code, 0, started.stderr);
  t.match((await pinfsAtOnce(['record', 'start', warm, second])).stderr, /RECORDING_REFUSED/);
  await shell('cat "$1"/plain/file-3 > /dev/null', warm);
  const stopped = await pinfsAtOnce(['record', 'stop', warm, '--json']);
  const { accesses } = JSON.parse(stopped.stdout) as { accesses: number };
  t.equal((await pinfsAtOnce(['record', 'stop', warm])).code, 1);
  t.match(
    (await pinfsAtOnce(['record', 'start', warm, join(work, 'key.pub')])).stderr,
    /is no trace/,
  );
  await shell('cat "$1"/plain/file-4 > /dev/null', warm);
  const again = read(second);
  t.equal(again.accesses.length, accesses);
  if (!isSlowOrder) t.strictSame(levelsOf(again.accesses, '/plain/file-3'), ['shelf']);
  t.strictSame(levelsOf(again.accesses, '/plain/file-4'), [], 'recording had ended');
  const shown = await pinfsAtOnce(['trace', 'csv', second]);
  t.match(shown.stdout, /^time_us,.*\n(.*\n)*.*,read,.*,\/plain\/file-3,\d+,cat\n/);
  t.match((await pinfsAtOnce(['trace', 'info', second])).stdout, /accesses +\d+/);
});

void t.test(
  'with all of it, repeated reads are there as they were made',
  options('kernel'),
  async (t) => {
    const here = await recordedScene(t, 'kernel');
    const file = join(here.work, 'all.trace');
    const args = [...here.key, '--record', file, '--record-all', '--ahead', 'off'];
    const mnt = await here.mount({ source: here.source, args });
    const piece = 'dd if="$1"/whole bs=1000 skip=7 count=2 status=none > /dev/null';
    for (let time = 0; time < 3; time++) await shell(piece, mnt);
    await shell('"$1"/none 2> /dev/null; cat "$1"/plain/* "$1"/large > /dev/null', mnt);
    await here.umount(mnt);
    const { accesses } = read(file);
    const reads = accesses.filter(
      ({ operation, path }) => operation === 'read' && path === '/whole',
    );
    t.strictSame(
      reads.map(({ offset, length }) => [offset, length]),
      Array.from({ length: 3 }, () => [
        [7000, 1000],
        [8000, 1000],
      ]).flat(),
    );
    t.equal(
      accesses.filter(({ operation, path }) => operation === 'open' && path === '/whole').length,
      3,
    );
    t.notOk(
      accesses.some(({ level }) => level === 'ahead'),
      'nothing came ahead',
    );
    const fetched = new Set(
      accesses.filter(({ level }) => level === 'fetched').map(({ object }) => object),
    );
    const files = accesses
      .filter(({ operation }) => operation === 'read')
      .map(({ object }) => object);
    t.equal(
      new Set(files.filter((object) => fetched.has(object))).size,
      21,
      'each file and chunk was fetched',
    );
    const waits = accesses.filter(
      ({ level, operation }) => level === 'fetched' && operation === 'read',
    );
    t.equal(waits.length, 21, 'once, and somebody waited for it');
  },
);

void t.test(
  'begun and ended while others read; killed in the middle',
  options('kernel'),
  async (t) => {
    const here = await recordedScene(t, 'kernel');
    const { source, key, work } = here;
    const mnt = await here.mount({ source, args: [...key, '--record-all'] });
    const readers = spawn('sh', ['-c', 'while :; do cat "$1"/*/file-* || exit; done', 'sh', mnt], {
      stdio: 'ignore',
    });
    t.teardown(() => readers.kill());
    for (let round = 0; round < 3; round++) {
      const file = join(work, `round-${round}.trace`);
      t.equal((await pinfsAtOnce(['record', 'start', mnt, file])).code, 0);
      await grown(file);
      t.equal((await pinfsAtOnce(['record', 'stop', mnt])).code, 0);
      const { end, accesses } = read(file);
      t.equal(end, 'complete');
      t.ok(accesses.length > 0);
    }
    const file = join(work, 'killed.trace');
    t.equal((await pinfsAtOnce(['record', 'start', mnt, file])).code, 0);
    await grown(file);
    const pid = (await here.status(mnt))?.status?.pid;
    if (pid === undefined) throw new Error('no process');
    process.kill(pid, 'SIGKILL');
    await wait(100);
    const { end, accesses } = read(file);
    t.equal(end, 'cut');
    t.ok(accesses.length > 0);
    t.match((await pinfsAtOnce(['trace', 'head', file])).stdout, /file-/);
    t.match((await pinfsAtOnce(['trace', 'info', file])).stderr, /cut off/);
  },
);

const asRoot = { ...needsAll(needsRoot, needsDriver('kernel')), timeout: 60_000 };

void t.test('a full disk ends the recording, not the mount', asRoot, async (t) => {
  const here = await recordedScene(t, 'kernel');
  const disk = here.directory('disk');
  const tmpfs = ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk];
  t.equal(spawnSync('mount', tmpfs, { timeout: 10_000 }).status, 0);
  t.teardown(() => spawnSync('umount', ['-l', disk], { timeout: 10_000 }));
  const file = join(disk, 'full.trace');
  const log = join(here.work, 'log');
  const args = [...here.key, '--record-all', '--record', file, '--log', log];
  const mnt = await here.mount({ source: here.source, args });
  const loop =
    'for i in $(seq 400); do cat "$1"/*/file-* || exit 1; [ -s "$2" ] && grep -q "ends here" "$2" && break; done | wc -c';
  const { stdout } = await shell(loop, mnt, log);
  t.ok(Number(stdout) > 0);
  const { stdout: shown } = await pinfsAtOnce(['status', '--verbose']);
  t.match(shown, /NOT RECORDED any more: .*ENOSPC/);
  const { stdout: lines } = await shell('grep -c "ends here" "$1"', log);
  t.equal(lines.trim(), '1', 'one line of the log');
  t.equal((await shell('cat "$1"/whole | wc -c', mnt)).stdout.trim(), '300000');
  t.equal(read(file).end, 'cut');
  const elsewhere = join(here.work, 'elsewhere.trace');
  t.equal(
    (await pinfsAtOnce(['record', 'start', mnt, elsewhere])).code,
    0,
    'and may go on elsewhere',
  );
  await shell('cat "$1"/whole > /dev/null', mnt);
  await here.umount(mnt);
  t.ok(levelsOf(read(elsewhere).accesses, '/whole').length > 0);
});

void t.test('the other driver records as well', options('fuse-native'), async (t) => {
  const here = await recordedScene(t, 'fuse-native');
  const file = join(here.work, 'native.trace');
  const mnt = await here.mount({ source: here.source, args: [...here.key, '--record', file] });
  await shell('cat "$1"/whole > /dev/null', mnt);
  await here.umount(mnt);
  const { end, accesses } = read(file);
  t.equal(end, 'complete');
  t.equal(levelsOf(accesses, '/whole')[0], 'fetched');
  t.ok(
    accesses.every(({ pid }) => pid === 0),
    'libfuse does not tell who asks',
  );
});
