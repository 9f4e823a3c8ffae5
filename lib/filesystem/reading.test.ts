import t from 'tap';
import type { Want } from '../store/want.js';
import { makeFakeTree } from '../testing/fakes/fake-tree.js';
import { prepareContent } from './reading.js';

void t.test('what is opened ahead is no more than can be read in a moment', (t) => {
  const small = Buffer.alloc(1024);
  const large = Buffer.alloc(5 * 1024 * 1024);
  const { tree, shelf } = makeFakeTree({
    children: {
      small: { bytes: small },
      large: { bytes: large },
      chunked: { bytes: large, chunkSize: 1024 * 1024 },
      empty: { bytes: Buffer.alloc(0) },
      directory: { children: {} },
    },
  });
  const opened: Want[] = [];
  const prepare = (want: Want): void => {
    opened.push(want);
  };
  for (const name of ['small', 'large', 'chunked', 'empty', 'directory']) {
    const found = tree.resolve(`/${name}`);
    if (found.kind === 'done') prepareContent(tree, { ...shelf, prepare }, found.value.node);
  }
  prepareContent(tree, { ...shelf, prepare }, 12345);
  t.same(
    opened.map(({ size }) => size.bytes),
    [small.length, 1024 * 1024],
  );
  t.end();
});
