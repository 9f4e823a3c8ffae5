import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fixtureKey, fixtures, script } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';

// `pinfs serve`, as somebody has it who tries pinfs with no server.

const fqrn = 'analysis.example.org';

interface Serving {
  readonly stdout: string;
  readonly stderr: () => string;
  /** SIGTERM; gives what the process ended with. */
  end(): Promise<unknown[]>;
}

/** Starts the command, and waits until it has printed what ends with `until`. */
async function serving(t: Test, until: string, ...args: string[]): Promise<Serving> {
  const child = spawn(process.execPath, [script, 'serve', ...args]);
  t.teardown(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  let [stdout, stderr] = ['', ''];
  child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()));
  for await (const piece of child.stdout as AsyncIterable<Buffer>) {
    stdout += piece.toString();
    if (stdout.includes(until)) break;
  }
  return {
    stdout,
    stderr: () => stderr,
    end() {
      child.kill('SIGTERM');
      return exited;
    },
  };
}

async function list(t: Test, url: string): Promise<{ code: number; stdout: string }> {
  const cache = join(t.testdir(), 'cache');
  return pinfsInProcess(
    ['ls', '--key', fixtureKey, '--cache', cache, `${url}@2010-11-08`, '/software'],
    {},
  );
}

void t.test('it prints where each repository is, and that can be read from', async (t) => {
  const one = await serving(t, 'Ctrl-C', fixtures);
  const lines = one.stdout.split('\n');
  const url = lines.find((line) => line.endsWith(`/${fqrn}`)) ?? '';
  t.match(url, /^http:\/\/127\.0\.0\.1:\d+\//);
  t.match(one.stdout, new RegExp(`^serving ${fixtures} at http://.*; end with Ctrl-C$`, 'm'));
  t.match(await list(t, url), { code: 0, stdout: /current/ });
  t.same(await one.end(), [0, null]);
  t.equal(one.stderr(), '');
});

void t.test('a repository itself is served below its name, far away if asked', async (t) => {
  const directory = t.testdir();
  fs.symlinkSync(join(fixtures, fqrn), join(directory, 'link'));
  const options = ['--json', '--rtt', '20ms', '--rate', '1M'];
  const one = await serving(t, '\n}', ...options, join(directory, 'link'));
  const { url, repositories } = JSON.parse(one.stdout) as { url: string; repositories: string[] };
  t.same(repositories, [`${url}/${fqrn}`]);
  const started = performance.now();
  t.equal((await fetch(`${url}/${fqrn}/.cvmfspublished`)).status, 200);
  // A connection and a request, each of a round trip; no more than a lower bound can be told.
  t.ok(performance.now() - started >= 35);
  t.equal((await fetch(`${url}/.cvmfspublished`)).status, 404);
  t.equal((await fetch(`${url}/${fqrn}x/.cvmfspublished`)).status, 404);
  t.same(await one.end(), [0, null]);
});

void t.test('an empty directory gets a warning, and is served', async (t) => {
  const directory = t.testdir();
  const one = await serving(t, 'Ctrl-C', directory);
  t.same(await one.end(), [0, null]);
  t.match(one.stderr(), `pinfs: warning: ${directory} holds no repository`);
});

void t.test('beyond loopback only if that is said', async (t) => {
  const refused = await pinfsInProcess(['serve', '--host', '0.0.0.0', fixtures]);
  t.match(refused, { code: 2, stderr: /0\.0\.0\.0 can be reached[^]*--public/ });
  t.match(await pinfsInProcess(['serve', '--host', '::', fixtures]), { code: 2 });
  const one = await serving(t, 'Ctrl-C', '--public', fixtures);
  t.match(one.stdout, /^http:\/\/(?!0\.0\.0\.0|127\.)/);
  t.same(await one.end(), [0, null]);
});

void t.test('a port that is taken, or not for us, and an address of others', async (t) => {
  const one = await serving(t, '\n}', '--json', fixtures);
  const { port } = new URL((JSON.parse(one.stdout) as { url: string }).url);
  const taken = await pinfsInProcess(['serve', '--port', port, fixtures]);
  t.match(taken, { code: 2, stderr: /EADDRINUSE[^]*another --port/ });
  const far = await pinfsInProcess(['serve', '--port', port, '--rtt', '2ms', fixtures]);
  t.match(far, { code: 2, stderr: /another --port/ });
  const other = ['serve', '--public', '--host', '192.0.2.1', fixtures];
  t.match(await pinfsInProcess(other), { code: 2, stderr: /--host an address of this machine/ });
  await one.end();
});
