import { ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import t from 'tap';
import { temporaryDirectory } from '../../testing/fakes/stub-mount.js';
import { mountInBackground, type StartChild } from './daemon.js';
import { mountOptions } from '../options.js';
import { withAbsolutePaths, shownSource, type MountSpec } from '../mount-spec.js';

const logless = mountOptions({ mountpoint: '/mnt/a' });
const mount = { ...logless, log: '/dev/null' };

/** A child that runs a line of JavaScript; `pipe` is its end, `sent` what it was sent. */
function child(code: string): StartChild {
  return () => {
    const script = `
      const { Socket } = require('node:net');
      const pipe = new Socket({ fd: 3 });
      pipe.once('data', (piece) => { const sent = JSON.parse(piece); ${code} });`;
    const stdio: StdioOptions = ['ignore', 'ignore', 'ignore', 'pipe'];
    const started = spawn(process.execPath, ['-e', script], { stdio, cwd: '/' });
    return { child: started, pipe: started.stdio[3] as Duplex };
  };
}

const options = { source: 'http://127.0.0.1/test@tag' };

void t.test('the mount spec arrives whole, and the answer is given back', async (t) => {
  const start = child("pipe.end(JSON.stringify({ ok: true, value: sent }) + '\\n')");
  const answer = await mountInBackground(options, mount, start);
  t.same(answer, { options, mount });
});

void t.test('the child’s error is ours, with its code and advice', async (t) => {
  const error = { ok: false, code: 'NO_KEY', message: 'no key fits', advice: 'give --key' };
  const start = child(`pipe.end(${JSON.stringify(JSON.stringify(error))} + '\\n')`);
  await t.rejects(mountInBackground(options, mount, start), {
    code: 'NO_KEY',
    exit: 3,
    message: 'no key fits',
    advice: 'give --key',
  });
});

void t.test(
  'a child that dies early is an error that says how, and where its log is',
  async (t) => {
    for (const [code, how] of [
      ['process.exit(7)', /exit code 7/],
      ["process.kill(process.pid, 'SIGKILL')", /SIGKILL/],
      ['pipe.end(\'{"ok":\', () => process.exit(0))', /exit code 0|SIGTERM/],
    ] as const) {
      await t.rejects(
        mountInBackground(options, mount, child(code)),
        { code: 'INTERNAL', message: how, advice: /\/dev\/null/ },
        code,
      );
    }
  },
);

void t.test('a child that can’t be started at all', async (t) => {
  const start: StartChild = () => {
    const started = spawn('/nowhere/node', [], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    return { child: started, pipe: started.stdio[3] as Duplex };
  };
  await t.rejects(mountInBackground(options, mount, start), {
    code: 'INTERNAL',
    message: /ENOENT/,
  });
  // Where no descriptor is left, spawn makes no pipes, and says so a moment later.
  const bare: StartChild = () => {
    const started = new ChildProcess();
    const error = Object.assign(new Error('spawn EMFILE'), { code: 'EMFILE' });
    setImmediate(() => started.emit('error', error));
    return { child: started, pipe: undefined };
  };
  await t.rejects(mountInBackground(options, mount, bare), { code: 'FILES_EXHAUSTED' });
});

void t.test(
  'the real child answers with the real error, and writes no log into the terminal',
  async (t) => {
    const { path, remove } = temporaryDirectory();
    t.teardown(remove);
    const real = { source: join(path, 'no-repository'), cache: join(path, 'cache') };
    const asked = mountInBackground(real, { ...logless, mountpoint: join(path, 'no-directory') });
    await t.rejects(asked, { code: 'MOUNTPOINT_UNUSABLE', advice: /mkdir -p/ });
    t.ok(existsSync(join(path, 'cache', 'state', 'log')), 'its log lies in the state');
  },
);

void t.test('the real child mounts nothing by a spec that is none', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const real = { source: join(path, 'no-repository'), cache: join(path, 'cache') };
  const wrong: Record<string, unknown> = { mountpoint: path, suid: 'yes' };
  const asked = mountInBackground(real, { ...logless, ...wrong });
  await t.rejects(asked, { code: 'INTERNAL', message: /mount spec is none/ });
});

void t.test('a log that can’t be written is said before anything starts', async (t) => {
  const asked = mountInBackground(options, { ...mount, log: '/nowhere/log' });
  await t.rejects(asked, { code: 'USAGE', message: /\/nowhere\/log/ });
  const cache = '/dev/null/cache';
  await t.rejects(mountInBackground({ ...options, cache }, logless), { code: 'STATE_UNUSABLE' });
});

void t.test('relative paths are those of the caller, since the daemon stands in /', (t) => {
  const spec = withAbsolutePaths(
    {
      options: {
        source: 'repo@tag',
        keys: ['keys', '/etc/keys'],
        signers: ['a.pub'],
        cache: 'cache',
        external: 'https://127.0.0.1/data',
        blacklist: '../list',
        attestation: 'a.json',
      },
      mount: { ...mount, mountpoint: 'mnt', log: 'log', trace: 'trace' },
    },
    () => '/home/a',
  );
  t.same(spec.options, {
    source: '/home/a/repo@tag',
    keys: ['/home/a/keys', '/etc/keys'],
    signers: ['/home/a/a.pub'],
    cache: '/home/a/cache',
    external: 'https://127.0.0.1/data',
    blacklist: '/home/list',
    attestation: '/home/a/a.json',
  });
  t.match(spec.mount, { mountpoint: '/home/a/mnt', log: '/home/a/log', trace: '/home/a/trace' });
  t.end();
});

void t.test('an empty path is no name for the working directory', (t) => {
  const wrong: [spec: MountSpec, message: RegExp][] = [
    [{ options: { ...options, source: '' }, mount }, /the source is empty/],
    [{ options: { ...options, keys: ['k', ''] }, mount }, /--key is empty/],
    [{ options: { ...options, cache: '' }, mount }, /--cache is empty/],
    [{ options, mount: { ...mount, mountpoint: '' } }, /the mountpoint is empty/],
    [{ options, mount: { ...mount, log: '' } }, /--log is empty/],
  ];
  for (const [spec, message] of wrong) {
    t.throws(() => withAbsolutePaths(spec), { code: 'USAGE', message });
  }
  t.end();
});

void t.test('a working directory that is gone matters for relative paths only', (t) => {
  const gone = () => {
    throw new Error('gone');
  };
  t.doesNotThrow(() => withAbsolutePaths({ options, mount }, gone));
  t.throws(() => withAbsolutePaths({ options, mount: { ...mount, mountpoint: 'mnt' } }, gone));
  t.end();
});

void t.test('credentials are shown to nobody', (t) => {
  t.equal(shownSource('https://me:pw@example.org/r@tag'), 'https://example.org/r@tag');
  t.equal(shownSource('https://example.org/r@me:pw@x'), 'https://example.org/r@me:pw@x');
  t.equal(shownSource('/home/me@work/r@tag'), '/home/me@work/r@tag');
  t.end();
});
