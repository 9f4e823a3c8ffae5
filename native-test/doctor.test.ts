import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { tryDirectory, tryDriver } from '../lib/mount/doctor/trial.js';
import { script } from './cli.js';
import { needsAll, needsDriver, needsNobody, needsProgram, needsRoot } from './machine.js';

// `pinfs doctor` mounts, so that what it says is so.

interface Said {
  readonly status: number | null;
  readonly canMount: boolean;
  readonly drivers: Readonly<Record<string, boolean>>;
  readonly findings: readonly { what: string; state: string; message: string; mend?: string }[];
}

function doctor(t: Test, before: readonly string[], args: readonly string[] = []): Said {
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-doctor-')));
  t.teardown(() => {
    rmSync(work, { recursive: true, force: true });
  });
  const [command = '', ...rest] = [
    ...before,
    process.execPath,
    script,
    'doctor',
    '--json',
    ...args,
  ];
  const env = {
    ...process.env,
    TMPDIR: work,
    XDG_CACHE_HOME: join(work, 'c'),
    XDG_STATE_HOME: work,
  };
  const { status, stdout, stderr } = spawnSync(command, rest, { encoding: 'utf8', env });
  t.same(readdirSync(work), [], `nothing is left: ${stderr}`);
  return { ...(JSON.parse(stdout) as Omit<Said, 'status'>), status };
}

const needs = { ...needsDriver('kernel'), timeout: 240_000 };

for (const driver of ['kernel', 'fuse-native'] as const) {
  void t.test(`a tiny tree through ${driver}`, { ...needs, ...needsDriver(driver) }, async (t) => {
    t.equal(await tryDriver(driver), undefined);
    t.match(
      await tryDriver(driver, { milliseconds: 1 }),
      { message: /did not come back within/ },
      'bound in time',
    );
  });
}

void t.test('where all is well', needs, (t) => {
  const { status, canMount, drivers } = doctor(t, []);
  t.equal(status, 0);
  t.ok(canMount);
  t.ok(drivers['kernel']);
  t.end();
});

void t.test(
  'root without CAP_SYS_ADMIN',
  needsAll(needs, needsRoot, needsProgram('setpriv')),
  (t) => {
    const said = doctor(t, ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin']);
    t.equal(said.status, 6);
    t.notOk(said.canMount);
    t.same(said.drivers, { kernel: false, 'fuse-native': false });
    const trial = said.findings.find(({ what }) => what === 'trial');
    t.match(trial, { state: 'problem', message: /EPERM/, mend: /CAP_SYS_ADMIN/ });
    t.end();
  },
);

void t.test(
  'a device that nobody serves',
  needsAll(needs, needsRoot, needsProgram('unshare')),
  (t) => {
    const before = [
      'unshare',
      '-m',
      'sh',
      '-c',
      'mount --bind /dev/null /dev/fuse && exec "$@"',
      'sh',
    ];
    const said = doctor(t, before);
    t.equal(said.status, 6);
    t.notOk(said.canMount);
    t.end();
  },
);

void t.test('a cache where no database can be opened', needsAll(needs, needsNobody), async (t) => {
  const cache = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-doctor-')));
  t.teardown(() => {
    rmSync(cache, { recursive: true, force: true });
  });
  // A file system with no room, and no file more.
  mkdirSync(join(cache, 'full'));
  const full =
    'mount -t tmpfs -o size=4k,nr_inodes=2 tmpfs "$0" && chmod 700 "$0" && touch "$0/x"; exec "$@"';
  const said = doctor(
    t,
    ['unshare', '-m', 'sh', '-c', full, join(cache, 'full')],
    ['--cache', join(cache, 'full')],
  );
  t.equal(said.status, 6);
  t.match(
    said.findings.find(({ what }) => what === 'cache'),
    { state: 'problem', message: /no database can be opened/ },
  );
  t.match(await tryDirectory(join(cache, 'absent')), { ok: false, message: /ENOENT/ });
});
