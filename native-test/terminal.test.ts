import { spawn } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fixtureKey, fixtures, pinfs, script } from './cli.js';
import { isMounted, until } from './kernel-scene.js';
import { needsAll, needsDriver, needsProgram } from './machine.js';
import { onTerminal, screensOf } from '../lib/testing/terminal.js';
import { scene, shell } from './scene.js';

// What hangs up: a terminal that is lost, and whoever rotates logs.

const needs = { ...needsDriver('kernel'), timeout: 240_000 };
const source = `${join(fixtures, 'analysis.example.org')}@2015-legacy`;

void t.test('SIGHUP opens log and trace anew, and the mount goes on', needs, async (t) => {
  const here = scene(t, 'kernel');
  const [log, trace] = [join(here.work, 'log'), join(here.work, 'trace')];
  const args = ['--key', fixtureKey, '--log', log, '--trace', trace];
  const mountpoint = await here.mount({ source, args });
  const pid = (await here.status(mountpoint))?.status?.pid ?? 0;
  for (const file of [log, trace]) renameSync(file, `${file}.old`);
  process.kill(pid, 'SIGHUP');
  await until('the log is begun anew', () => existsSync(log) && existsSync(trace));
  const before = readFileSync(`${trace}.old`, 'utf8').length;
  t.match(await shell('ls -l "$1"', mountpoint), { code: 0 });
  await until('the trace goes on there', () => readFileSync(trace, 'utf8').includes('READDIR'));
  t.equal(readFileSync(`${trace}.old`, 'utf8').length, before, 'the old one is left alone');
  t.match(readFileSync(log, 'utf8'), /asked to open the log anew/);
  t.equal((await here.status(mountpoint))?.status?.pid, pid);
});

void t.test(
  'a watch shows what goes on, with heads, until q',
  needsAll(needs, needsProgram('python3')),
  async (t) => {
    const here = scene(t, 'kernel');
    const mountpoint = await here.mount({ source, args: ['--key', fixtureKey] });
    const command = [process.execPath, script, 'status', '--watch', mountpoint];
    const going = here.directory('going');
    const reading = shell(
      'while sleep 0.1 && [ -e "$2" ]; do stat "$1/none$i"; i=x$i; done',
      mountpoint,
      going,
    );
    const ran = await onTerminal(command, {
      columns: 200,
      steps: [[String.raw`B +[1-9]\d* +\d+ +0  verified`, 'q']],
    });
    t.match(ran, { code: 0, restored: true, typed: 1 }, JSON.stringify(ran.pieces.slice(-2)));
    const left = (await screensOf(ran, { columns: 200 })).at(-1);
    t.match(left, [
      /^ *HITS +BYTES\/S +REQUESTS\/S +QUEUE +ERRORS {2}TRUST +MOUNTPOINT +SNAPSHOT$/,
      `  verified  ${mountpoint}`,
    ]);
    rmdirSync(going);
    await reading;
    await here.umount(mountpoint);
  },
);

// A terminal of its own; the process ends with it, as a window that is closed, once somebody ends it.
const holdTerminal = `
import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
print(pid, flush=True)
sys.stdin.readline()
os.close(terminal)
sys.stdin.readline()
`;

void t.test(
  'a terminal that is lost under a foreground mount ends nothing',
  needsAll(needs, needsProgram('python3')),
  async (t) => {
    const here = scene(t, 'kernel');
    const mountpoint = here.directory('mnt');
    const mount = [
      'mount',
      '--foreground',
      '--driver',
      'kernel',
      '--cache',
      here.directory('cache'),
    ];
    const command = [process.execPath, script, ...mount, '--key', fixtureKey, source, mountpoint];
    const holder = spawn('python3', ['-c', holdTerminal, ...command], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    t.teardown(async () => {
      await pinfs(['umount', '--force', mountpoint]);
      holder.kill('SIGKILL');
    });
    let said = '';
    holder.stdout.on('data', (data: Buffer) => (said += data.toString()));
    await until('it is mounted', () => isMounted(mountpoint) && said.includes('\n'));
    const pid = Number(said);
    // Answered by the process: it is ready by then.
    t.match(await shell('ls "$1"', mountpoint), { code: 0 });
    holder.stdin.write('close\n');
    await until('the terminal is gone', () => !hasTerminal(pid));
    // It would have ended by the first word that it says.
    process.kill(pid, 'SIGHUP');
    t.match(await shell('ls -lR "$1"', mountpoint), { code: 0 });
    t.equal((await here.status(mountpoint))?.status?.pid, pid, 'and it answers');
    await here.umount(mountpoint);
    t.notOk(isMounted(mountpoint));
  },
);

/** Whether what it writes to still leads to a terminal that somebody has open. */
function hasTerminal(pid: number): boolean {
  // Field 7 of stat(5) of proc: the controlling terminal, which a hang-up takes away.
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[4] !== '0';
}
