import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { unitName } from '../lib/mount/setup/at-login.js';
import { fixtureKey, fixtures, pinfs, type CliResult } from './cli.js';
import { pinfsInProcess } from './in-process.js';
import { needsMount } from './machine.js';
import { isMounted, until } from './stage.js';

// `pinfs mount --at-login`: what it writes, played as systemd.service(5) says.

const needs = { ...needsMount, timeout: 180_000 };
const source = join(fixtures, 'analysis.example.org@2015-legacy');

interface Login {
  readonly work: string;
  readonly mountpoint: string;
  readonly unit: string;
  readonly link: string;
  readonly env: Readonly<Record<string, string>>;
  readonly pinfs: (...args: string[]) => Promise<CliResult>;
}

function login(t: Test): Login {
  const work = realpathSync(t.testdir({ 'a mount 100%': {}, run: { systemd: {} }, bin: {} }));
  const mountpoint = join(work, 'a mount 100%');
  const units = join(work, 'config', 'systemd', 'user');
  const env = {
    HOME: work,
    XDG_CONFIG_HOME: join(work, 'config'),
    XDG_RUNTIME_DIR: join(work, 'run'),
    PINFS_CACHE: join(work, 'cache'),
    PATH: `${join(work, 'bin')}:${process.env['PATH'] ?? ''}`,
  };
  const name = unitName(mountpoint);
  t.teardown(() => pinfs(['umount', '--force', mountpoint], env));
  return {
    work,
    mountpoint,
    unit: join(units, name),
    link: join(units, 'default.target.wants', name),
    env,
    pinfs: (...args) => pinfsInProcess(args, env),
  };
}

void t.test('the unit mounts what was asked for, and is taken back', needs, async (t) => {
  const { work, mountpoint, unit, link, env, pinfs } = login(t);
  const written = await pinfs('mount', '--at-login', '--key', fixtureKey, source, mountpoint);
  t.match(written, { code: 0, stdout: /no systemd of this user runs here/ });
  t.match(written.stdout, unit);
  t.match(written.stdout, link);
  t.notOk(isMounted(mountpoint.replaceAll(' ', '\\040')), 'by the next login');
  t.equal(realpathSync(link), unit, readlinkSync(link));
  const text = readFileSync(unit, 'utf8');
  const line = /^ExecStart=(.*)$/m.exec(text)?.[1] ?? '';
  t.match(line, `"--cache" "${join(work, 'cache')}"`, 'also what the environment said');
  // Where systemd has %% and $$, a shell has one of them.
  const shell = `exec ${line.replace(/[%$]{2}/g, (two) => two.slice(1))}`;
  const main = spawn('sh', ['-c', shell], { env: { ...process.env, ...env }, stdio: 'ignore' });
  const exited = once(main, 'exit');
  t.ok(await until(() => isMounted(mountpoint.replaceAll(' ', '\\040'))), 'it mounts');
  t.match(await pinfs('umount', '--at-login', mountpoint), { code: 0 });
  t.same(await exited, [0, null], 'so that it is not begun again');
  t.notOk(existsSync(join(work, 'config')), 'nothing is left');
  t.match(await pinfs('umount', '--at-login', mountpoint), { code: 0, stdout: /nothing/ });
});

void t.test('the systemd of the user is told, and what it says counts', needs, async (t) => {
  const { work, mountpoint, unit, env, pinfs } = login(t);
  writeFileSync(join(work, 'run', 'systemd', 'private'), '');
  const told = join(work, 'told');
  const systemctl = (last: string): void => {
    writeFileSync(
      join(work, 'bin', 'systemctl'),
      `#!/bin/sh\necho "$*" >> '${told}'\n[ "$2" = start ] || exit 0\n${last}\n`,
      { mode: 0o755 },
    );
  };
  systemctl('exit 0');
  const args = ['mount', '--at-login', '--key', fixtureKey, source, mountpoint];
  t.match(await pinfs(...args), { code: 0, stdout: /will be at each login/ });
  const name = unitName(mountpoint);
  t.equal(readFileSync(told, 'utf8'), `--user daemon-reload\n--user start ${name}\n`);
  systemctl('echo "Job failed" >&2; exit 1');
  t.match(await pinfs(...args), { code: 6, stderr: /Job failed.*MOUNT_FAILED[^]*journalctl/ });
  appendFileSync(unit, '# mine\n');
  t.match(await pinfs(...args), { code: 1, stderr: /SETUP_REFUSED/ });
  t.match(await pinfs('umount', '--at-login', mountpoint), { stderr: /somebody has changed it/ });
  t.ok(existsSync(unit));
  t.ok(env.PATH);
});

void t.test('what can’t be put into a unit is refused before one is written', needs, async (t) => {
  const { work, mountpoint, pinfs } = login(t);
  const wrong: [args: string[], message: RegExp][] = [
    [['-o', 'ro'], /--at-login takes options alone/],
    [['--foreground'], /cannot be used with/],
    [['--metrics', 'nowhere'], /no address and port/],
  ];
  for (const [args, message] of wrong)
    t.match(await pinfs('mount', '--at-login', ...args, source, mountpoint), {
      code: 2,
      stderr: message,
    });
  mkdirSync(join(work, 'long'), { recursive: true });
  const long = join(work, 'long', 'x'.repeat(250));
  t.match(await pinfs('mount', '--at-login', source, long), { code: 2, stderr: /too long/ });
  t.notOk(existsSync(join(work, 'config')));
});
