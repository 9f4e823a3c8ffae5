import { EventEmitter } from 'node:events';
import t from 'tap';
import type { MountEnd } from '../../drivers/driver.js';
import type { UnmountMode } from '../../machine/unmount.js';
import { PinfsError } from '../../format/errors.js';
import { stubLog, stubTimer, turn } from '../../testing/fakes/stub-mount.js';
import { guardProcess, type GuardedProcess } from './guard.js';
import type { MountSession } from '../session/session.js';

function setUp() {
  const events = new EventEmitter();
  const ends: string[] = [];
  const target: GuardedProcess = {
    on: (event, listener) => events.on(event, listener),
    exit: (code) => ends.push(`exit ${code}`),
    die: () => ends.push('die'),
  };
  const log = stubLog();
  const timer = stubTimer();
  const guard = guardProcess(target, log, timer);
  return { events, ends, log, timer, guard };
}

function stubSession(busyFor = 0) {
  let settle: (end: MountEnd) => void = () => undefined;
  const ended = new Promise<MountEnd>((resolve) => (settle = resolve));
  const calls: string[] = [];
  const session = {
    ended,
    unmount: (mode: UnmountMode) => {
      calls.push(mode);
      if (mode === 'orderly' && calls.length <= busyFor) {
        return Promise.reject(new PinfsError('MOUNT_BUSY', 'in use by 12'));
      }
      settle({ reason: 'unmounted', message: 'unmounted' });
      return Promise.resolve({ ended: true });
    },
  } as unknown as MountSession;
  return { session, calls, settle };
}

for (const signal of ['SIGHUP', 'SIGUSR1']) {
  void t.test(`${signal} ends nothing: the log is opened anew, and the head asked for`, (t) => {
    const { events, ends, guard } = setUp();
    const { session, calls } = stubSession();
    events.emit(signal);
    let refreshed = 0;
    void guard.attach({ ...session, refresh: () => (refreshed += 1) });
    events.emit(signal);
    t.equal(refreshed, 1);
    t.same(calls, []);
    t.same(ends, [], 'not even before the mount is there');
    t.end();
  });
}

for (const signal of ['SIGTERM', 'SIGINT']) {
  void t.test(`${signal} unmounts in order, and the process ends with 0`, async (t) => {
    const { events, ends, guard } = setUp();
    const { session, calls } = stubSession();
    const code = guard.attach(session);
    events.emit(signal);
    t.equal(await code, 0);
    t.same(calls, ['orderly']);
    t.same(ends, []);
  });
}

void t.test('a busy mount is tried again until it is free', async (t) => {
  const { events, guard, timer, log } = setUp();
  const { session, calls } = stubSession(3);
  const code = guard.attach(session);
  events.emit('SIGTERM');
  await turn();
  await timer.advance(3000);
  t.equal(await code, 0);
  t.same(calls, ['orderly', 'orderly', 'orderly', 'orderly']);
  t.equal(
    log.lines.filter((line) => line.includes('in use by 12')).length,
    1,
    'who holds it, once',
  );
});

void t.test('a mount that stays busy is ended by force after ten seconds', async (t) => {
  const { events, guard, timer } = setUp();
  const { session, calls } = stubSession(1000);
  const code = guard.attach(session);
  events.emit('SIGTERM');
  await turn();
  await timer.advance(9000);
  t.notOk(calls.includes('force'));
  await timer.advance(1000);
  t.equal(calls.at(-1), 'force');
  t.equal(await code, 0);
});

void t.test('a mount that is held elsewhere once it is unmounted is ended as well', async (t) => {
  const { events, guard, timer, ends } = setUp();
  const calls: string[] = [];
  const session = {
    ended: new Promise<MountEnd>(() => undefined),
    unmount: (mode: UnmountMode) => {
      calls.push(mode);
      if (calls.length === 1)
        return Promise.resolve({ ended: false, holders: '12 (sh: root directory)' });
      if (mode === 'force') return Promise.resolve({ ended: false });
      return Promise.reject(new PinfsError('MOUNT_BUSY', 'held elsewhere'));
    },
  } as unknown as MountSession;
  void guard.attach(session);
  events.emit('SIGTERM');
  await turn();
  await timer.advance(9000);
  t.same(new Set(calls), new Set(['orderly']), 'they have as long as anybody');
  await timer.advance(1000);
  t.equal(calls.at(-1), 'force');
  t.same(ends, ['die'], 'and a process that even this does not end is ended');
});

void t.test('the second signal ends it by force at once, the third ends the process', async (t) => {
  const { events, guard, ends } = setUp();
  const calls: string[] = [];
  const session = {
    ended: new Promise<MountEnd>(() => undefined), // its users never leave
    unmount: (mode: UnmountMode) => {
      calls.push(mode);
      return mode === 'force'
        ? new Promise(() => undefined)
        : Promise.reject(new PinfsError('MOUNT_BUSY', 'in use'));
    },
  } as unknown as MountSession;
  void guard.attach(session);
  events.emit('SIGINT');
  await turn();
  events.emit('SIGINT');
  t.same(calls, ['orderly', 'force']);
  t.same(ends, []);
  events.emit('SIGINT');
  t.same(ends, ['die']);
});

void t.test('a mount that can’t be unmounted does not keep the process', async (t) => {
  const { events, guard, ends, log } = setUp();
  const calls: string[] = [];
  const session = {
    ended: new Promise<MountEnd>(() => undefined),
    unmount: (mode: UnmountMode) => {
      calls.push(mode);
      return Promise.reject(new PinfsError('MOUNT_FAILED', 'made by mount.fuse3'));
    },
  } as unknown as MountSession;
  void guard.attach(session);
  events.emit('SIGTERM');
  await turn();
  t.same(calls, ['orderly', 'force'], 'no second attempt in order: waiting does not help');
  t.same(ends, ['die']);
  t.match(log.lines.at(-1), /made by mount.fuse3/);
});

void t.test('before there is anything to unmount, a signal ends the process as usual', (t) => {
  const { events, ends } = setUp();
  events.emit('SIGINT');
  t.same(ends, ['exit 130']);
  t.end();
});

void t.test('a signal while the driver mounts is kept until it has', async (t) => {
  const { events, guard, ends } = setUp();
  guard.mounting();
  events.emit('SIGTERM');
  t.same(ends, []);
  const { session, calls } = stubSession();
  t.equal(await guard.attach(session), 0);
  t.same(calls, ['orderly']);
});

void t.test(
  'a fault of our own is logged, the mount ended, and the process ends with 1',
  async (t) => {
    for (const event of ['uncaughtException', 'unhandledRejection']) {
      const { events, guard, log } = setUp();
      const { session, calls } = stubSession();
      const code = guard.attach(session);
      events.emit(event, new Error('a bug'));
      t.equal(await code, 1, event);
      t.same(calls, ['force']);
      t.match(log.lines, ['error unexpected: a bug [INTERNAL]']);
    }
  },
);

void t.test('a fault whose mount does not go ends the process all the same', async (t) => {
  const { events, guard, ends, timer } = setUp();
  const session = {
    ended: new Promise<MountEnd>(() => undefined),
    unmount: () => Promise.reject(new Error('hangs')),
  } as unknown as MountSession;
  void guard.attach(session);
  events.emit('uncaughtException', 'not even an error');
  await timer.advance(4999);
  t.same(ends, []);
  await timer.advance(1);
  t.same(ends, ['die']);
});

void t.test('a fault before the mount ends the process', (t) => {
  const { events, ends } = setUp();
  events.emit('uncaughtException', new Error('early'));
  t.same(ends, ['exit 1']);
  t.end();
});

void t.test('a mount that was aborted or failed ends the process with 1', async (t) => {
  for (const reason of ['aborted', 'failed'] as const) {
    const { guard } = setUp();
    const { session, settle } = stubSession();
    const code = guard.attach(session);
    settle({ reason, message: reason });
    t.equal(await code, 1, reason);
  }
});
