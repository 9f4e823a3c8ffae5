import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import { unmountModes } from '../../machine/unmount.js';
import { recordOfFirstVersion, serveAsFirstVersion } from '../../testing/fakes/first-version.js';
import { notRepinned, temporaryDirectory } from '../../testing/fakes/stub-mount.js';
import {
  askControl,
  findRecords,
  parseRequest,
  serveControl,
  type ControlHandlers,
} from './control.js';
import { readUnmounted } from './leave.js';
import { mountName } from './runtime.js';

const record = {
  mountpoint: '/mnt/a',
  pid: 4242,
  since: '2020-01-01T00:00:00.000Z',
  source: 'http://127.0.0.1/a',
};
const timeoutMs = 5000;

function handlers(changes: Partial<ControlHandlers> = {}): ControlHandlers {
  return {
    status: () => ({ state: 'running' }),
    explain: () => Promise.reject(new Error('not asked')),
    repin: notRepinned,
    leaveCache: notRepinned,
    record: notRepinned,
    unmount: () => Promise.resolve({ ended: true }),
    ...changes,
  };
}

/** Sends raw bytes and gives all that comes back. */
function send(path: string, bytes: string, end = false): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket: Socket = connect(path, () => {
      if (end) socket.end(bytes);
      else socket.write(bytes);
    });
    socket.on('data', (piece) => (text += piece.toString()));
    socket.on('error', reject);
    socket.on('close', () => {
      resolve(text);
    });
  });
}

void t.test('status and unmount are answered', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const asked: string[] = [];
  const control = await serveControl(
    path,
    record,
    handlers({
      unmount: (mode) => {
        asked.push(mode);
        return Promise.resolve({ ended: true });
      },
    }),
  );
  t.same(await askControl(control.path, { command: 'status' }, timeoutMs), {
    kind: 'answer',
    value: { state: 'running' },
  });
  await askControl(control.path, { command: 'unmount', mode: 'force' }, timeoutMs);
  t.same(asked, ['force']);
  t.same(findRecords([path]), [{ record, socket: control.path, detached: false }]);
  await control.close();
  t.same(readdirSync(path), [], 'nothing is left');
});

void t.test('an error of the mount reaches the caller with its code', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const busy = new PinfsError('MOUNT_BUSY', 'in use by 12', { advice: 'end it' });
  const control = await serveControl(
    path,
    record,
    handlers({ unmount: () => Promise.reject(busy) }),
  );
  const asked = askControl(control.path, { command: 'unmount', mode: 'orderly' }, timeoutMs);
  await t.rejects(asked, { code: 'MOUNT_BUSY', message: 'in use by 12', advice: 'end it' });
  await control.close();
});

void t.test('hostile callers are refused, and the next one is served', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const control = await serveControl(path, record, handlers(), { bytes: 64, milliseconds: 200 });
  t.match(await send(control.path, 'x'.repeat(65)), /"USAGE".*too long/);
  t.match(await send(control.path, 'not json\n'), /"USAGE"/);
  t.match(await send(control.path, '{"command":"format"}\n'), /"USAGE"/);
  t.match(await send(control.path, '{"command":"unmount","lazy":"yes"}\n'), /"USAGE"/);
  t.match(await send(control.path, '[]\n'), /"USAGE"/);
  t.equal(await send(control.path, '{"command":"st', true), '', 'cut off');
  t.equal(await send(control.path, '{"command":"st'), '', 'never ends');
  const answers = await Promise.all([
    send(control.path, '{"command":"status"}\n'),
    send(control.path, '{"command":"status"}\n'),
  ]);
  for (const answer of answers) t.match(answer, /"ok":true/);
  await control.close();
});

void t.test('a dead socket is no obstacle, a mount that is starting is', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  writeFileSync(join(path, `${mountName('/mnt/a')}.sock`), '');
  const first = await serveControl(
    path,
    record,
    handlers({ status: () => ({ state: 'starting' }) }),
  );
  await t.rejects(serveControl(path, record, handlers()), { code: 'MOUNT_BUSY' });
  t.ok(first.owned());
  await first.close();
});

void t.test(
  'a process that still serves a detached mount gives its place, and stays reachable',
  async (t) => {
    const { path, remove } = temporaryDirectory();
    t.teardown(remove);
    const old = await serveControl(
      path,
      record,
      handlers({ status: () => ({ state: 'stopping' }) }),
    );
    const next = await serveControl(path, { ...record, pid: 4343 }, handlers());
    t.notOk(old.owned());
    t.ok(next.owned());
    const found = findRecords([path]);
    t.same(found.map(({ record: { pid }, detached }) => [pid, detached]).sort(), [
      [4242, true],
      [4343, false],
    ]);
    const second = found.find((mount) => mount.detached);
    t.same(await askControl(second?.socket ?? '', { command: 'status' }, timeoutMs), {
      kind: 'answer',
      value: { state: 'stopping' },
    });
    await old.close();
    t.equal(findRecords([path]).length, 1, 'the old one took its own away');
    t.ok(existsSync(next.path), 'and nothing else');
    await next.close();
  },
);

void t.test('a socket that cannot be made is said so', async (t) => {
  await t.rejects(serveControl('/nowhere/at/all', record, handlers()), { code: 'STATE_UNUSABLE' });
});

void t.test('nobody there is dead, somebody who says nothing is silent', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const socket = join(path, 'a.sock');
  t.same(await askControl(socket, { command: 'status' }, timeoutMs), { kind: 'dead' });
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  t.same(await askControl(socket, { command: 'status' }, 1), { kind: 'silent' });
  server.close();
});

void t.test('records that are broken, huge or foreign are passed over', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const write = (name: string, text: string) => {
    writeFileSync(join(path, name), text);
  };
  write('0123456789abcdef.json', '{');
  write('0123456789abcde0.json', '{"mountpoint":1}');
  write('0123456789abcde1.json', JSON.stringify({ ...record, source: 'x'.repeat(70_000) }));
  write('other.json', JSON.stringify(record));
  t.same(findRecords([path, '/nowhere']), []);
  t.end();
});

void t.test('requests are read strictly', (t) => {
  t.same(parseRequest('{"command":"status","more":1}'), { command: 'status' });
  t.throws(() => parseRequest('{"command":"unmount"}'), { code: 'USAGE' });
  t.throws(() => parseRequest('{"command":"unmount","mode":"soon","lazy":true}'), {
    code: 'USAGE',
  });
  t.end();
});

void t.test('a request of 0.1.0 is understood', (t) => {
  const ask = (lazy: boolean) => parseRequest(JSON.stringify({ command: 'unmount', lazy }));
  t.same(ask(true), { command: 'unmount', mode: 'force' });
  t.same(ask(false), { command: 'unmount', mode: 'orderly' });
  t.end();
});

void t.test('a process of 0.1.0 understands each request, and its answers are', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const asked: unknown[] = [];
  const name = join(path, mountName('/mnt/a'));
  writeFileSync(`${name}.json`, JSON.stringify(recordOfFirstVersion));
  const server = await serveAsFirstVersion(`${name}.sock`, asked);
  const [found] = findRecords([path]);
  t.match(found?.record, { ...recordOfFirstVersion, digests: undefined });
  for (const mode of unmountModes) {
    const answer = await askControl(found?.socket ?? '', { command: 'unmount', mode }, timeoutMs);
    t.equal(answer.kind, 'answer', mode);
    t.same(answer.kind === 'answer' && readUnmounted(answer.value), { ended: false }, mode);
  }
  server.close();
  t.same(
    asked,
    unmountModes.map((mode) => ({ command: 'unmount', lazy: mode === 'force' })),
  );
});

void t.test('a record of a later version is read as far as it is known', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const later = { ...record, digests: { source: { of: 'another form' } }, more: [1] };
  writeFileSync(join(path, '0123456789abcdef.json'), JSON.stringify(later));
  t.match(findRecords([path]), [{ record: { ...record, digests: undefined } }]);
  t.end();
});
