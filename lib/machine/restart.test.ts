import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';

void t.test('the same process runs anew, with all that it was given', (t) => {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-restart-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  const program = join(work, 'program.mjs');
  writeFileSync(
    program,
    `import { readFileSync } from 'node:fs';
     import { restart } from ${JSON.stringify(new URL('./restart.js', import.meta.url).href)};
     const { pid, execArgv } = process;
     if (execArgv.length === 0) {
       process.stdout.write(pid + '\\n');
       restart(['--no-warnings']);
     }
     const line = readFileSync('/proc/self/cmdline').toString('latin1').split('\\0');
     process.stdout.write(JSON.stringify({
       pid, execArgv, last: line.at(-2), given: readFileSync(line.at(-3), 'utf8'),
       input: readFileSync(0, 'utf8'), variable: process.env.GIVEN,
     }));`,
  );
  const command = `exec "$0" "$1" "/dev/fd/7" "$(printf '/\\377 x')" 7< "$1"`;
  const output = execFileSync('sh', ['-c', command, process.execPath, program], {
    input: 'typed',
    env: { ...process.env, GIVEN: 'yes', NODE_OPTIONS: '' },
    encoding: 'utf8',
  });
  const [pid, answer = ''] = output.split('\n');
  const { given, ...rest } = JSON.parse(answer) as { given: string };
  t.match(given, /^import/, 'a descriptor that an argument names is open');
  t.same(rest, {
    pid: Number(pid),
    execArgv: ['--no-warnings'],
    last: '/\xff x',
    input: 'typed',
    variable: 'yes',
  });
  t.end();
});
