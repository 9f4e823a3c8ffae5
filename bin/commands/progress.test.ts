import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { setLook } from './look.js';
import { withProgress } from './progress.js';

void t.test('as JSON: how much of what, how fast, and on whom it waits', async (t) => {
  const lines: string[] = [];
  t.intercept(process.stderr, 'write', {
    value: (text: string) => lines.push(text) > 0,
  });
  setLook({ progress: 'json' });
  t.teardown(() => setLook({}));
  const traffic = { requests: 1, bytes: 10, failures: 0 };
  await withProgress(
    'copied',
    4,
    async (progress) => {
      progress.update(1, '', 1000);
      await sleep(400);
      progress.update(2, '', 3000);
      await sleep(3000);
    },
    { bytes: 10_000, source: { label: 'server.example.org', traffic } },
  );
  const told = lines.map((line) => JSON.parse(line) as unknown);
  t.ok(told.length >= 2);
  t.match(told[0], {
    ...{ progress: 'copied', done: 2, total: 4, bytes: 3000, totalBytes: 10_000 },
    ...{ bytesPerSecond: Number, secondsLeft: Number },
  });
  t.match(told.at(-1), { waitingFor: 'server.example.org' });
});

void t.test('what is quick says nothing', async (t) => {
  const lines: string[] = [];
  t.intercept(process.stderr, 'write', { value: (text: string) => lines.push(text) > 0 });
  setLook({ progress: 'json' });
  t.teardown(() => setLook({}));
  await withProgress('read', undefined, (progress) => {
    progress.update(1, '');
    return Promise.resolve();
  });
  t.same(lines, []);
});
