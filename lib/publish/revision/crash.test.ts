import t from 'tap';
import { openPublishing, shownTree } from '../../testing/publishing.js';
import { directory, file, nested, type TreeSpec } from '../spec.js';
import type { Storage } from '../storage/storage.js';

// The same publisher ends at each of its writes in turn: before it, and when it is done.

const tree = (text: string): TreeSpec => ({
  a: file(text),
  long: file(`${text}, `.repeat(100)),
  below: nested({ b: file(`${text} below`) }),
  plain: directory({ c: file('c') }),
});

/** A storage whose power fails at one of its writes. */
function failing(
  storage: Storage,
  at: number,
  isDone: boolean,
): { storage: Storage; writes: () => number } {
  let writes = 0;
  const write: Storage['write'] = async (path, content, only) => {
    if (writes++ < at) return storage.write(path, content, only);
    if (writes - 1 === at && isDone) await storage.write(path, content, only);
    throw new Error('the power failed');
  };
  // Else threads write, and are not counted.
  return { storage: { ...storage, folder: undefined, write }, writes: () => writes };
}

void t.test('a publisher that dies at any write leaves a whole repository', async (t) => {
  const scene = await openPublishing(t);
  await scene.publish({ tree: tree('old') });
  const old = await shownTree(await scene.open());
  let ends = 0;
  for (let at = 0; ; at++) {
    const { storage, writes } = failing(scene.storage, at, at % 2 === 0);
    const died = await scene.publish({ tree: tree(`new ${at}`), storage }).then(
      () => false,
      () => true,
    );
    if (!died) {
      t.ok(writes() <= at, 'all of its writes were tried');
      break;
    }
    ends++;
    const now = await shownTree(await scene.open());
    if (now['/a'] === old['/a']) t.same(now, old, `the old tree after ${at} writes`);
    else t.match(now['/below/b'], ` new ${at} below `, 'or all of the new one');
    await scene.publish({ tree: tree('old') });
    t.same(await shownTree(await scene.open()), old, 'the next publication goes through');
  }
  t.ok(ends > 5, `${ends} writes`);
});
