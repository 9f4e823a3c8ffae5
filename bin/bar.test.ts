import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { file, makeSmallRepository } from '../lib/publish/write-repository.js';
import { checkout } from '../lib/testing/genuine.js';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import { onTerminal, screensOf, type TerminalOutcome } from '../lib/testing/terminal.js';
import { needsProgram } from '../native-test/machine.js';

// What a user sees while he waits: the screen of a terminal, time by time.

/** As they are sent: deflated base64. */
const bytes = 45_000;
const names = ['a', 'b', 'c', 'd'];
const made = makeSmallRepository(
  Object.fromEntries(names.map((name) => [name, file(randomBytes(bytes).toString('base64'))])),
);

interface Scene {
  readonly server: BadServer;
  readonly run: (command: string, ...args: string[]) => Promise<TerminalOutcome>;
}

async function scene(t: Test): Promise<Scene> {
  const home = t.testdir();
  const server = await startBadServer(made.files, made.fqrn);
  t.teardown(() => server.close());
  writeFileSync(join(home, 'key.pub'), made.masterKey);
  const options = [
    '--key',
    join(home, 'key.pub'),
    '--cache',
    join(home, 'cache'),
    '--deadline',
    '3',
  ];
  const program = [process.execPath, join(checkout, 'dist/bin/pinfs.js')];
  const run: Scene['run'] = (command, ...args) =>
    onTerminal([...program, command, ...options, server.url, ...args], {
      env: { PATH: process.env['PATH'], HOME: home },
    });
  return { server, run };
}

const needs = { ...needsProgram('python3'), timeout: 120_000 };

void t.test('a fetch shows its bar, and leaves one line', needs, async (t) => {
  const { server, run } = await scene(t);
  server.behave(/^data\/..\/[0-9a-f]+$/, { rate: bytes * 0.8 });
  const ran = await run('fetch', '--jobs', '1');
  t.match(ran, { code: 0, restored: true });
  const screens = await screensOf(ran);
  const bar = /^fetched \S{10} [123]\/4 {2}.*B\/s, .*KiB of 23\d\.\d KiB$/;
  const shown = screens.filter((lines) => lines.some((line) => bar.test(line)));
  t.ok(shown.length >= 2, `it goes on: ${JSON.stringify(screens.slice(-4))}`);
  t.same([...new Set(shown.map((lines) => lines.length))], [1], 'in one line of 80 columns');
  const end = screens.at(-1) ?? [];
  t.equal(end.length, 1, `no bar is left: ${end.join('|')}`);
  t.match(end[0], /^1 catalogs, 4 objects, 23\d\.\d KiB are in the cache/);
});

void t.test('what is asked, of how many, and on whom it waits', needs, async (t) => {
  const { server, run } = await scene(t);
  server.behave(() => true, 'hang');
  const { origin } = new URL(server.url);
  const ran = await run('probe', '--mirror', `${origin}/cvmfs/other/${made.fqrn}`);
  const said = (await screensOf(ran)).flat();
  const bar = /^asked \S+ 0\/2 {2}waiting for 2: http:\/\/127/;
  t.ok(
    said.some((line) => bar.test(line)),
    JSON.stringify(said),
  );
  t.notOk(
    (await screensOf(ran)).at(-1)?.some((line) => line.startsWith('asked ')),
    'it is gone',
  );
});
