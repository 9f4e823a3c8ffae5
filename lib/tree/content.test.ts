import { errno } from '../format/errno.js';
import t from 'tap';
import { openMade } from '../testing/fakes/opened-tree.js';
import { file, makeSmallRepository } from '../publish/write-repository.js';
import { chunksBehind, wantsForRange } from './content.js';

void t.test('ranges touch only the chunks that they lie in', (t) => {
  const content = Buffer.from(Array.from({ length: 100 }, (_, i) => i));
  const opened = openMade(
    t,
    makeSmallRepository({
      c: file(content, { chunks: [30] }),
      w: file(content),
      e: file(''),
      x: file(content, { chunks: [30], external: true, compression: 'none' }),
    }),
  );
  const { tree, shelf } = opened;
  const at = (path: string) => shelf.must(() => tree.resolve(path));
  const parts = (path: string, offset: number, length: number) =>
    shelf
      .must(() => wantsForRange(tree, at(path), offset, length))
      .map((piece) => [piece.want.size.bytes, piece.position, piece.length]);
  t.strictSame(parts('/c', 0, 10), [[30, 0, 10]]);
  t.strictSame(parts('/c', 29, 2), [
    [30, 29, 1],
    [30, 0, 1],
  ]);
  t.strictSame(parts('/c', 30, 60), [
    [30, 0, 30],
    [30, 0, 30],
  ]);
  t.strictSame(parts('/c', 0, 1e9), [
    [30, 0, 30],
    [30, 0, 30],
    [30, 0, 30],
    [10, 0, 10],
  ]);
  t.strictSame(parts('/c', 99, 5), [[10, 9, 1]]);
  t.strictSame(parts('/c', 100, 5), []);
  t.strictSame(parts('/c', -1, 5), []);
  t.strictSame(parts('/c', 5, 0), []);
  t.strictSame(parts('/w', 90, 50), [[100, 90, 10]]);
  t.strictSame(parts('/e', 0, 50), [], 'an empty file needs no object');
  const external = shelf.must(() => wantsForRange(tree, at('/x'), 60, 5));
  t.match(external, [
    { want: { compression: 'none', external: { path: '/x', range: { offset: 60, length: 30 } } } },
  ]);
  const behind = (offset: number, count: number) =>
    chunksBehind(tree, at('/c'), offset, count).map(({ want }) => want.size.bytes);
  t.strictSame(behind(0, 2), [30, 30]);
  t.strictSame(behind(10, 2), [30, 30]);
  t.strictSame(behind(60, 4), [30, 10]);
  t.strictSame(behind(91, 4), []);
  t.strictSame(chunksBehind(tree, at('/w'), 0, 4), []);
  t.match(
    shelf.run(() => wantsForRange(tree, at(''), 0, 1)),
    { errno: errno.EISDIR },
  );
  t.match(
    shelf.run(() => tree.chunks(at('/w').node)),
    { errno: errno.EINVAL },
  );
  t.end();
});
