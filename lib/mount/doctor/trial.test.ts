import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { tryDirectory, tryDriver } from './trial.js';

const good = `process.stdout.write('{"ok":true}');`;

void t.test('what is left behind is told, whatever came of the trial', async (t) => {
  const dirty = `require('node:fs').writeFileSync(process.argv[3] + '/left', '');`;
  const folder = t.testdir({
    'good.cjs': good,
    'dirty.cjs': dirty + good,
    'bad.cjs': `${dirty} process.stdout.write('{"ok":false,"message":"no luck"}');`,
  });
  const attempt = (name: string) => tryDriver('kernel', { script: join(folder, name) });
  t.equal(await attempt('good.cjs'), undefined);
  const left = /could not be taken away from (\S+): ENOTEMPTY/;
  const dirtyEnd = await attempt('dirty.cjs');
  const badEnd = await attempt('bad.cjs');
  t.match(dirtyEnd, { message: left, mend: /rm -r / });
  t.match(badEnd, { message: /^no luck; / });
  for (const end of [dirtyEnd, badEnd]) {
    const place = left.exec(end?.message ?? '')?.[1] ?? '';
    t.ok(existsSync(join(place, 'left')));
    rmSync(place, { recursive: true });
  }
});

void t.test('a process that is killed has ended when its trial has', async (t) => {
  const folder = t.testdir({});
  const pid = join(folder, 'pid');
  const script = join(t.testdirName, 'hung.cjs');
  t.testdir({
    'hung.cjs': `
      require('node:fs').writeFileSync(${JSON.stringify(pid)}, String(process.pid));
      setInterval(() => undefined, 1000);`,
  });
  let end: Awaited<ReturnType<typeof tryDirectory>> = { ok: true };
  // It has to have begun, however slow the machine is.
  for (let milliseconds = 1000; !existsSync(pid) && milliseconds < 64_000; milliseconds *= 2)
    end = await tryDirectory(folder, { milliseconds, script });
  t.match(end, {
    ok: false,
    message: /did not come back/,
    mend: /\.pinfs-doctor-.* is left there/,
  });
  t.notOk(existsSync(`/proc/${readFileSync(pid, 'utf8')}`));
  t.same(readdirSync(folder).sort(), ['hung.cjs', 'pid']);
});

void t.test('where no descriptor is left, that is what is said', async (t) => {
  const trial = new URL('trial.js', import.meta.url).href;
  const code = `
    const { tryDirectory, tryDriver } = await import(${JSON.stringify(trial)});
    const { openSync } = await import('node:fs');
    try { for (;;) openSync('/dev/null', 'r'); } catch {}
    const ends = [await tryDirectory('/tmp', {}), await tryDriver('kernel', {})];
    process.stdout.write(JSON.stringify(ends));`;
  const { stdout } = await promisify(execFile)('sh', [
    ...['-c', 'ulimit -n 40; exec "$0" --input-type=module -e "$1"', process.execPath, code],
  ]);
  t.match(JSON.parse(stdout), [
    { ok: false, message: /may open no more files/, mend: /ulimit -n/ },
    { message: /^this process may open no more files \(EMFILE\)$/ },
  ]);
});
