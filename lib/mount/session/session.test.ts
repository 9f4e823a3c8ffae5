import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PinfsError } from '../../format/errors.js';
import {
  stubDriver,
  stubLog,
  stubRepository,
  stubTimer,
  stubVerdict,
  temporaryDirectory,
  turn,
  type StubDriver,
} from '../../testing/fakes/stub-mount.js';
import type { Repository } from '../../repository/repository.js';
import { askControl, findRecords } from '../control/control.js';
import type { MountOptions } from '../options.js';
import { runMount, type SessionParts } from './session.js';

const timeoutMs = 5000;

function setUp(
  t: Test,
  given: {
    pinned?: boolean;
    driver?: StubDriver;
    open?: SessionParts['openRepository'];
    openOtherPin?: SessionParts['openOtherPin'];
  } = {},
) {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  for (const name of ['run', 'mnt']) mkdirSync(join(path, name), { mode: 0o700 });
  const repository = stubRepository({ pinned: given.pinned ?? true });
  const driver = given.driver ?? stubDriver();
  const log = stubLog();
  const timer = stubTimer();
  const parts: SessionParts = {
    openRepository: given.open ?? (() => Promise.resolve(repository)),
    refresh: () => Promise.resolve(undefined),
    refuseBanned: () => undefined,
    openOtherPin: given.openOtherPin ?? (() => Promise.reject(new Error('no other pin'))),
    nextCheck: (of) => (of.pinned ? undefined : of.tree.properties.ttl),
    loaders: [{ name: driver.name, load: () => Promise.resolve(driver) }],
    runtimeDirectory: join(path, 'run'),
    timer,
    log,
    onMounting: () => log.info('mounting'),
  };
  const mount: MountOptions = {
    mountpoint: join(path, 'mnt'),
    driver: 'auto',
    allowOther: true,
    suid: false,
    dev: false,
    noXattrs: false,
    deadline: 30_000,
    verbose: false,
  };
  const options = { source: 'http://user:secret@127.0.0.1:1/test@tag', cache: join(path, 'cache') };
  return { path, repository, driver, log, timer, parts, mount, options };
}

void t.test('a mount lives from its start to its end, and leaves nothing', async (t) => {
  const { path, repository, driver, parts, mount, options, log } = setUp(t);
  const session = await runMount(options, mount, parts);
  t.match(log.lines, ['info mounting', /mounted on .*mnt by the kernel driver/]);
  t.match(driver.requests[0], { lifetime: 'pinned', allowOther: true, deadline: 30_000 });
  const [found] = findRecords([join(path, 'run')]);
  t.equal(found?.record.source, 'http://127.0.0.1:1/test@tag', 'no credentials');
  t.match(await askControl(found?.socket ?? '', { command: 'status' }, timeoutMs), {
    kind: 'answer',
    value: { state: 'running', mountpoint: session.mountpoint, driver: 'kernel', pinned: true },
  });
  await askControl(found?.socket ?? '', { command: 'unmount', mode: 'orderly' }, timeoutMs);
  t.match(await session.ended, { reason: 'unmounted' });
  t.ok(repository.closed());
  t.same(findRecords([join(path, 'run')]), []);
});

void t.test('what is shown of a mount is that of what is served now', async (t) => {
  const next = stubRepository({ pinned: false, rootHash: 'b'.repeat(40) });
  const { driver, timer, parts, mount, options, log } = setUp(t, { pinned: false });
  const heads = [next];
  const refresh = (of: Repository) => {
    of.judgedAgain(
      of.opening,
      stubVerdict({ rootHash: of.descriptor.identity.rootHash, revision: 8 }),
    );
    return Promise.resolve(heads.shift());
  };
  const session = await runMount(options, mount, { ...parts, refresh });
  const rootOfFacts = () => driver.requests[0]?.live?.().trust?.rootHash.slice(0, 1);
  t.equal(rootOfFacts(), 'a');
  await timer.advance(240_000);
  t.equal(rootOfFacts(), 'b', 'the facts of the worker are those of the new snapshot');
  t.match(session.status().verdict, { rootHash: 'b'.repeat(40), revision: 7 });
  t.equal(next.opening.headRequests.again, Date.parse(session.status().head?.nextCheck ?? ''));
  await timer.advance(240_000);
  t.match(session.status().verdict, { rootHash: 'b'.repeat(40), revision: 8 }, 'judged again');
  t.match(log.lines.at(-1), /now at bbbb/);
  await session.unmount('orderly');
  await session.ended;
});

void t.test('a limit in which not even the catalogs fit is said in the log', async (t) => {
  const { driver, parts, mount, options, log } = setUp(t);
  const openRepository = () => Promise.resolve(stubRepository({ catalogBytes: 2 ** 33 }));
  const session = await runMount(options, mount, { ...parts, openRepository });
  t.ok(log.lines.some((line) => /^warn the cache may take 4294967296 bytes/.test(line)));
  driver.end({ reason: 'unmounted', message: 'gone' });
  await session.ended;
});

void t.test('a repository that asks for a membership is not opened to others', async (t) => {
  const closed = stubRepository({ pinned: true, vomsAuthz: 'group\x1b' });
  const { path, driver, parts, mount, options } = setUp(t, { open: () => Promise.resolve(closed) });
  const refused = { code: 'ACCESS_DENIED', message: /membership \("group\\x1b"\)/ };
  await t.rejects(runMount(options, mount, parts), refused);
  t.ok(closed.closed());
  t.same(driver.requests, []);
  t.same(findRecords([join(path, 'run')]), []);
  const session = await runMount(options, { ...mount, allowOther: false }, parts);
  await session.unmount('orderly');
});

void t.test('nor when a head that is followed begins to ask', async (t) => {
  const next = stubRepository({ pinned: false, vomsAuthz: 'group' });
  const { repository, parts, mount, options, timer, log } = setUp(t, { pinned: false });
  const refresh = (): Promise<typeof next> => Promise.resolve(next);
  const session = await runMount(options, mount, { ...parts, refresh });
  await timer.advance(240_000);
  t.ok(log.lines.some((line) => /the head stays: .*membership/.test(line)));
  t.ok(next.left());
  t.notOk(repository.left());
  await session.unmount('orderly');
});

void t.test('an unmount ends when what was learned is whole', async (t) => {
  const { path, parts, mount, options } = setUp(t);
  const learn = join(path, 'job.profile');
  const session = await runMount(options, { ...mount, learn }, parts);
  t.same(await session.unmount('orderly'), { ended: true });
  t.ok(existsSync(learn), 'the profile is there');
  t.notOk(existsSync(`${learn}.trace`), 'and its trace gone');
  await session.ended;
});

void t.test('an end from outside closes everything as well', async (t) => {
  const { path, repository, driver, parts, mount, options } = setUp(t);
  const session = await runMount(options, mount, parts);
  driver.end({ reason: 'aborted', message: 'the connection was aborted' });
  t.match(await session.ended, { reason: 'aborted' });
  t.ok(repository.closed());
  t.same(findRecords([join(path, 'run')]), []);
});

void t.test('a busy mount stays, and its caller hears who holds it', async (t) => {
  const { path, driver, parts, mount, options } = setUp(t);
  const session = await runMount(options, mount, parts);
  driver.busy = true;
  const socket = findRecords([join(path, 'run')])[0]?.socket ?? '';
  await t.rejects(askControl(socket, { command: 'unmount', mode: 'orderly' }, timeoutMs), {
    code: 'MOUNT_BUSY',
    message: /12 \(bash/,
  });
  t.equal(session.status().state, 'running');
  await askControl(socket, { command: 'unmount', mode: 'force' }, timeoutMs);
  await session.ended;
});

void t.test('a head is followed with a short lifetime, a pin never', async (t) => {
  const head = setUp(t, { pinned: false });
  const session = await runMount(head.options, head.mount, head.parts);
  t.equal(head.driver.requests[0]?.lifetime, 60);
  t.match(session.status().head, { nextCheck: /^2020-01-01T00:04:00/ });
  await session.unmount('orderly');
  await session.ended;
  t.equal(head.timer.waiting(), 0);
  const pin = setUp(t);
  const pinned = await runMount(pin.options, pin.mount, pin.parts);
  t.equal(pinned.status().head, null);
  t.equal(pin.timer.waiting(), 0);
  await pinned.unmount('force');
  await pinned.ended;
});

void t.test('a driver that can’t tell the kernel of a new head lets it keep little', async (t) => {
  const driver = stubDriver('fuse-native');
  const { parts, mount, options } = setUp(t, { pinned: false, driver });
  const session = await runMount(options, mount, parts);
  t.equal(driver.requests[0]?.lifetime, 1);
  await session.unmount('orderly');
  await session.ended;
});

void t.test('what can’t be opened leaves no socket', async (t) => {
  const error = new PinfsError('WHITELIST_EXPIRED', 'expired');
  const { path, driver, parts, mount, options } = setUp(t, { open: () => Promise.reject(error) });
  await t.rejects(runMount(options, mount, parts), { code: 'WHITELIST_EXPIRED' });
  t.same(driver.calls, []);
  t.same(findRecords([join(path, 'run')]), []);
});

void t.test('a driver that fails closes the repository', async (t) => {
  const driver = stubDriver();
  driver.mount = () => Promise.reject(new PinfsError('MOUNT_FAILED', 'no'));
  const { path, repository, parts, mount, options } = setUp(t, { driver });
  await t.rejects(runMount(options, mount, parts), { code: 'MOUNT_FAILED' });
  t.ok(repository.closed());
  t.same(findRecords([join(path, 'run')]), []);
});

void t.test('two at once: the second is refused while the first starts', async (t) => {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const first = setUp(t, {
    open: async () => {
      await opened;
      return stubRepository();
    },
  });
  const mounting = runMount(first.options, first.mount, first.parts);
  for (
    let bound = 0;
    bound < 1000 && findRecords([join(first.path, 'run')]).length === 0;
    bound += 1
  ) {
    await turn();
  }
  const second = { ...first.parts, openRepository: () => Promise.resolve(stubRepository()) };
  await t.rejects(runMount(first.options, first.mount, second), { code: 'MOUNT_BUSY' });
  const socket = findRecords([join(first.path, 'run')])[0]?.socket ?? '';
  await t.rejects(askControl(socket, { command: 'unmount', mode: 'orderly' }, timeoutMs), {
    code: 'MOUNT_BUSY',
  });
  open();
  const session = await mounting;
  await session.unmount('orderly');
  await session.ended;
});

void t.test(
  'mountpoints that are none, or in our own way, are refused before anything is opened',
  async (t) => {
    const { path, driver, parts, mount, options } = setUp(t);
    mkdirSync(join(path, 'cache', 'state', 'inside'), { recursive: true });
    symlinkSync(join(path, 'cache'), join(path, 'link'));
    const bad = [
      join(path, 'missing'),
      join(path, 'cache'),
      join(path, 'cache', 'state', 'inside'),
      join(path, 'link', 'state', 'inside'),
      path, // would hide the cache
      join(path, 'run'),
      '/',
    ];
    for (const mountpoint of bad) {
      await t.rejects(
        runMount(options, { ...mount, mountpoint }, parts),
        { code: 'MOUNTPOINT_UNUSABLE' },
        mountpoint,
      );
    }
    const source = { ...options, source: `${join(path, 'mnt')}@tag` };
    await t.rejects(runMount(source, mount, parts), { code: 'MOUNTPOINT_UNUSABLE' }, 'the source');
    const log = { ...mount, log: join(path, 'mnt', 'log') };
    await t.rejects(runMount(options, log, parts), { code: 'MOUNTPOINT_UNUSABLE' }, 'the log');
    t.same(driver.calls, []);
  },
);

void t.test('a mount goes over to another pin when it is asked to', async (t) => {
  const next = stubRepository({ pinned: true, rootHash: 'b'.repeat(40) });
  const { path, repository, driver, parts, mount, options, log } = setUp(t, {
    openOtherPin: () => Promise.resolve(next),
  });
  const opened = Object.assign(next.opening, { options: { ...options, source: '/srv/a@other' } });
  t.ok(opened);
  const session = await runMount(options, mount, parts);
  const socket = findRecords([join(path, 'run')])[0]?.socket ?? '';
  const ask = (dryRun: boolean) =>
    askControl(socket, { command: 'repin', pin: 'other', dryRun }, timeoutMs);

  const from = { rootHash: 'a'.repeat(40) };
  const to = { rootHash: 'b'.repeat(40) };
  t.match(await ask(true), { kind: 'answer', value: { from, to } });
  t.ok(next.left(), 'only looked at');
  t.equal(session.status().verdict.rootHash, from.rootHash);
  t.same(session.status().previous, []);

  t.match(await ask(false), { kind: 'answer', value: { from, to } });
  t.ok(driver.calls.includes('replace http://127.0.0.1/test.example.org'));
  t.ok(repository.left() && !repository.closed(), 'the store is that of the new one');
  t.match(session.status(), {
    verdict: to,
    previous: [{ generation: 1, rootHash: from.rootHash, until: '2020-01-01T00:00:00.000Z' }],
  });
  t.equal(findRecords([join(path, 'run')])[0]?.record.source, '/srv/a@other');
  t.ok(log.lines.some((line) => /from a{40} to b{40}/.test(line)));
  await session.unmount('force');
  await session.ended;
  t.ok(next.closed());
});

void t.test('another pin that is refused leaves all as it was', async (t) => {
  const next = stubRepository({ pinned: true, rootHash: 'b'.repeat(40), vomsAuthz: 'x' });
  const { parts, mount, options } = setUp(t, {
    pinned: false,
    openOtherPin: () => Promise.resolve(next),
  });
  const session = await runMount(options, mount, parts);
  const asked = { pin: 'other', dryRun: false };
  await t.rejects(session.repin(asked), { code: 'ACCESS_DENIED' });
  t.ok(next.left());
  t.match(session.status(), { verdict: { rootHash: 'a'.repeat(40) }, previous: [] });
  t.type(session.status().head?.nextCheck, 'string', 'its head is followed on');
  await session.unmount('force');

  const other = setUp(t, { driver: stubDriver('fuse-native') });
  const native = await runMount(other.options, other.mount, other.parts);
  await t.rejects(native.repin(asked), { code: 'REPIN_REFUSED' });
  await native.unmount('force');
});
