import t from 'tap';
import { heldAtMost, kernelTimeout } from './request-timeout.js';

void t.test('the timeout of the kernel, if it has one', (t) => {
  const of = (usual: string, most: string) =>
    kernelTimeout((name) => (name === 'max_request_timeout' ? most : usual));
  t.equal(of('0\n', '0\n'), undefined);
  t.equal(of('', ''), undefined, 'an older kernel');
  t.equal(of('60\n', '0\n'), 60);
  t.equal(of('0\n', '120\n'), 120);
  t.equal(of('60\n', '20\n'), 20);
  t.equal(of('1\n', '0\n'), 15, 'it looks no oftener');
  t.type(kernelTimeout() ?? 0, 'number');
  t.end();
});

void t.test('requests are answered before it strikes', (t) => {
  t.equal(heldAtMost(undefined), undefined);
  t.equal(heldAtMost(15), 10_000);
  t.equal(heldAtMost(3600), 2_400_000);
  t.end();
});
