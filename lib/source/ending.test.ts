import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { openEnding } from './ending.js';

void t.test('many may wait for one end, and nothing is said of it', async (t) => {
  const warnings: string[] = [];
  const note = (warning: Error) => void warnings.push(warning.name);
  process.on('warning', note);
  t.teardown(() => process.off('warning', note));
  const ending = openEnding();
  let told = 0;
  for (let count = 0; count < 40; count++) ending.signal.addEventListener('abort', () => told++);
  await turn();
  ending.abort();
  t.equal(told, 40);
  t.same(warnings, []);
});
