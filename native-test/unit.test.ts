import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkout } from '../lib/testing/genuine.js';
import { fixtureKey, fixtures, script } from './cli.js';
import { needsAll, needsMount, needsProgram } from './machine.js';
import { run } from './scene.js';
import { isMounted, standIn, until } from './stage.js';

// The service of share/systemd, played line by line as systemd.service(5) says.

const unit = join(checkout, 'share', 'systemd', 'pinfs@.service');
const needs = { ...needsMount, timeout: 180_000 };

/** The values of a key, without the `-` that lets a command fail. */
function values(key: string): readonly string[] {
  const lines = readFileSync(unit, 'utf8').split('\n');
  const found = lines.filter((line) => line.startsWith(`${key}=`));
  return found.map((line) => line.slice(key.length + 1).replace(/^-/, ''));
}

function seconds(key: string): number {
  return Number(values(key)[0]);
}

interface Service {
  readonly mountpoint: string;
  readonly main: ChildProcess;
  readonly exited: Promise<unknown[]>;
  /** Runs the lines of a key. @returns exit codes. */
  readonly play: (
    key: string,
    changed?: Readonly<Record<string, string>>,
  ) => Promise<readonly (number | null)[]>;
}

async function start(t: Test): Promise<Service> {
  const place = realpathSync(t.testdir({ bin: {}, mnt: {} }));
  const program = join(place, 'bin', 'pinfs');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`);
  chmodSync(program, 0o755);
  const mountpoint = join(place, 'mnt');
  const variables: Readonly<Record<string, string>> = {
    MOUNTPOINT: mountpoint,
    SOURCE: join(fixtures, 'analysis.example.org@2015-legacy'),
    OPTIONS: `--key ${fixtureKey}`,
    PATH: `${join(place, 'bin')}:${process.env['PATH'] ?? ''}`,
    XDG_STATE_HOME: join(place, 'state'),
  };
  const env = { ...process.env, ...variables };
  // Where CacheDirectory= would be.
  mkdirSync(join(place, 'cache'), { mode: 0o700 });
  // `$X` is split at blanks, `${X}` is not; here the shell does the same.
  const command = (line: string) => `exec ${line.replace('/var/cache/pinfs', `${place}/cache`)}`;
  const main = spawn('sh', ['-c', command(values('ExecStart')[0] ?? 'false')], {
    env,
    stdio: 'ignore',
  });
  const exited = once(main, 'exit');
  t.teardown(async () => {
    main.kill('SIGKILL');
    await run('umount', ['-l', '-c', mountpoint]);
  });
  t.ok(await until(() => isMounted(mountpoint)), 'it mounts');
  const play = async (key: string, changed: Readonly<Record<string, string>> = {}) => {
    const codes: (number | null)[] = [];
    for (const line of values(key)) {
      const child = spawn('sh', ['-c', command(line)], {
        env: { ...env, ...changed },
        stdio: 'ignore',
      });
      const [code] = (await once(child, 'exit')) as [number | null];
      codes.push(code);
    }
    return codes;
  };
  return { mountpoint, main, exited, play };
}

void t.test(
  'a unit that is reloaded goes over to the pin that its file has by then',
  needs,
  async (t) => {
    const { mountpoint, main, exited, play } = await start(t);
    const source = join(fixtures, 'analysis.example.org');
    const year = async () =>
      (await run('sh', ['-c', 'ls -l --time-style=+%Y "$0" | grep bin', mountpoint])).stdout;
    t.match(await year(), / 2015 bin/);
    t.same(await play('ExecReload', { SOURCE: `${source}@2010-reprocessing` }), [0]);
    t.match(await year(), / 2010 bin/);
    t.same(
      await play('ExecReload', { SOURCE: `${source}@nothing` }),
      [5],
      'told, and nothing else',
    );
    t.match(await year(), / 2010 bin/);
    main.kill('SIGTERM');
    t.same(await exited, [0, null]);
  },
);

void t.test('a busy unit stops within its time, and leaves nothing', needs, async (t) => {
  const { mountpoint, main, exited, play } = await start(t);
  const holder = await standIn(mountpoint);
  const began = performance.now();
  await play('ExecStop');
  main.kill('SIGTERM');
  t.same(await exited, [0, null], 'it ends by itself, as if nothing were wrong');
  t.ok(
    performance.now() - began < seconds('TimeoutStopSec') * 1000,
    'before systemd would kill it',
  );
  t.same(await play('ExecStopPost'), [1], 'nothing is left to do');
  t.notOk(isMounted(mountpoint));
  holder.stdin?.end();
  await once(holder, 'exit');
});

void t.test('a unit that had to be killed leaves nothing either', needs, async (t) => {
  const { mountpoint, main, exited, play } = await start(t);
  const holder = await standIn(mountpoint);
  // All of its control group are killed at once.
  const helpers = (await run('pgrep', ['-P', String(main.pid)])).stdout.trim().split('\n');
  for (const pid of helpers.filter((text) => text !== '')) process.kill(Number(pid), 'SIGKILL');
  main.kill('SIGKILL');
  await exited;
  await play('ExecStopPost');
  t.notOk(isMounted(mountpoint));
  holder.stdin?.end();
  await once(holder, 'exit');
});

void t.test(
  'systemd understands the units',
  needsAll(needsProgram('systemd-analyze')),
  async (t) => {
    for (const name of ['pinfs@.service', 'cvmfs-analysis.mount']) {
      const file = join(checkout, 'share', 'systemd', name);
      const { code, stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', file]);
      t.same([code, stdout, stderr.replace(/^.*not executable.*\n/gm, '')], [0, '', ''], name);
    }
  },
);
