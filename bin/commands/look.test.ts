import t from 'tap';
import { painted, paintedStatus, progressing, setLook } from './look.js';

void t.test('colour is for who asks, or looks at a terminal and does not refuse it', (t) => {
  t.teardown(() => setLook({}));
  const green = '\x1b[32mok\x1b[0m';
  setLook({ color: 'always' }, {});
  t.equal(painted('ok', 'good'), green);
  t.equal(paintedStatus('trust: refused: x', 'refused'), 'trust: \x1b[31mrefused\x1b[0m: x');
  setLook({ color: 'always', json: true }, {});
  t.equal(painted('ok', 'good'), 'ok', 'never in JSON');
  setLook({ color: 'always' }, { NO_COLOR: '1' });
  t.equal(painted('ok', 'good'), green, 'the command line counts more');
  setLook({ color: 'never' }, {});
  t.equal(painted('ok', 'good'), 'ok');
  const { isTTY } = process.stdout;
  process.stdout.isTTY = true;
  setLook({}, { NO_COLOR: '1' });
  t.equal(painted('ok', 'good'), 'ok');
  setLook({}, { NO_COLOR: '' });
  t.equal(painted('ok', 'good'), green);
  process.stdout.isTTY = isTTY;
  t.end();
});

void t.test('progress is told where somebody wants it', (t) => {
  t.teardown(() => setLook({}));
  setLook({ progress: 'json' });
  t.equal(progressing(), 'json');
  setLook({ progress: 'json', quiet: true });
  t.equal(progressing(), 'none');
  t.end();
});
