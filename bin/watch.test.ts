import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkout } from '../lib/testing/genuine.js';
import { onTerminal, screensOf } from '../lib/testing/terminal.js';
import { needsProgram } from '../native-test/machine.js';

// `pinfs status --watch` where there is no mount; with mounts: native-test/terminal.test.ts.

const watch = [process.execPath, join(checkout, 'dist/bin/pinfs.js'), 'status', '--watch'];

/** Where no mounts of others are seen. */
function nobody(t: Test): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: t.testdir(), XDG_RUNTIME_DIR: t.testdirName };
}

const ends: readonly (readonly [how: string, command: readonly string[], typed: string])[] = [
  ['q', watch, 'q'],
  ['Ctrl-C', watch, '\x03'],
  ['a signal', ['timeout', '--foreground', '--preserve-status', '-s', 'TERM', '3', ...watch], ''],
];

for (const [how, command, typed] of ends)
  void t.test(
    `${how} ends a watch and gives the terminal back`,
    needsProgram('python3'),
    async (t) => {
      const wanted = 'q ends it';
      const ran = await onTerminal(command, { env: nobody(t), steps: [[wanted, typed]] });
      t.match(ran, { code: 0, restored: true, typed: 1 });
      const screens = await screensOf(ran);
      t.ok(
        screens.some((lines) => lines.at(-1) === wanted),
        'it stood there',
      );
      t.notMatch(screens.at(-1)?.join('\n'), wanted, 'and is gone');
      const said = ran.pieces.map(({ text }) => text).join('');
      t.ok(said.lastIndexOf('\x1b[?25h') > said.lastIndexOf('\x1b[?25l'), 'the cursor is seen');
    },
  );

void t.test('where there is no terminal it is a line a second, until nobody reads', async (t) => {
  const [program = '', ...args] = watch;
  const child = spawn(program, args, { env: nobody(t), stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  let said = '';
  for await (const piece of child.stdout) {
    said += String(piece);
    if (said.split('\n').length > 2) break;
  }
  t.match(said, /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}\S.*\n){2}$/);
  t.match(await ended, [1], 'as other commands whose reader leaves');
});
