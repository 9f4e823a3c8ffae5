import t from 'tap';
import { recordedShelf } from '../store/recorded.js';
import type { Shelf } from '../store/shelf.js';
import { wantKey, type Want } from '../store/want.js';
import { accessesOf } from '../trace/accesses.js';
import { encodeBlock, encodeEndBlock } from '../trace/blocks.js';
import { openTraceDecoder } from '../trace/decoder.js';
import { encodeTraceHeader } from '../trace/header.js';
import type { Access } from '../trace/trace.js';
import { openRecorder, type Recorder } from './recorder.js';

function want(letter: string, kind: 'data' | 'catalog' = 'data'): Want {
  return {
    object: { hash: { algorithm: 'sha1', text: letter.repeat(40) }, kind },
    compression: 'zlib',
    size: { kind: 'exact', bytes: 100 },
    path: `/${letter}`,
  };
}

const nothing = { startedAt: 0, repository: '', rootHash: '', source: '', writer: '' };

/** A recorded shelf on which nothing is at first, and what was recorded of it. */
function recorded() {
  const here = new Set<string>();
  let denied = 0;
  const find = (key: string): boolean => {
    if (!here.has(key)) denied++;
    return here.has(key);
  };
  const bare: Shelf = {
    read: (it, _position, length) => (find(wantKey(it)) ? length : undefined),
    path: (it) => (find(wantKey(it)) ? '/nowhere' : undefined),
    descriptor: () => undefined,
    has: () => false,
    isRecorded: (it) => here.has(wantKey(it)),
    beginRun: () => undefined,
    close: () => undefined,
  };
  const shelf = recordedShelf(bare);
  const blocks: Buffer[] = [];
  let pid = 1;
  const recorder: Recorder = openRecorder({
    sink: (block) => blocks.push(encodeBlock(block)),
    caller: () => pid,
    nameOf: (of) => `process-${of}`,
  });
  const accesses = (): Access[] => {
    recorder.flush();
    const decoder = openTraceDecoder();
    decoder.push(encodeTraceHeader({ ...nothing, isComplete: false, cacheLimit: 0 }));
    for (const block of [...blocks, encodeEndBlock()]) decoder.push(block);
    return [...accessesOf(decoder.finish())];
  };
  const read = (it: Want): number | undefined => shelf.read(it, 0, 100, Buffer.alloc(0), 0);
  const ask = (by: number): void => {
    pid = by;
  };
  return { here, shelf, recorder, accesses, read, ask, denied: () => denied };
}

const told = (accesses: readonly Access[]): string[] =>
  accesses.map(({ operation, level, path, pid }) => `${operation} ${level} ${path} ${pid}`);

t.test('what somebody waited for was fetched; others found it', (t) => {
  const { here, shelf, recorder, read, ask, accesses } = recorded();
  shelf.record?.(recorder);
  const first = {};
  shelf.beginRun(first);
  t.equal(read(want('a')), undefined);
  here.add(wantKey(want('a')));
  shelf.beginRun({});
  ask(2);
  read(want('a'));
  shelf.beginRun(first);
  ask(1);
  read(want('a'));
  t.same(told(accesses()), ['read shelf /a 2', 'read fetched /a 1']);
  t.end();
});

t.test('what came ahead is told once, whoever asked for it', (t) => {
  const { here, shelf, recorder, read, accesses } = recorded();
  shelf.record?.(recorder);
  shelf.beginRun({});
  here.add(wantKey(want('c')));
  shelf.expect?.([want('b'), want('c')]);
  here.add(wantKey(want('b')));
  here.add(wantKey(want('d')));
  recorder.fetched(wantKey(want('d')), 55);
  for (const letter of ['b', 'b', 'c', 'd']) read(want(letter));
  t.same(
    accesses().map(({ level }) => level),
    ['ahead', 'shelf', 'shelf', 'ahead'],
  );
  t.end();
});

t.test(
  'a run that ends for want of something is told by the next one; a catalog stays open',
  (t) => {
    const { here, shelf, recorder, read, accesses } = recorded();
    shelf.record?.(recorder);
    const run = {};
    here.add(wantKey(want('c', 'catalog'))).add(wantKey(want('a')));
    shelf.beginRun(run);
    read(want('c', 'catalog'));
    shelf.path(want('c', 'catalog'));
    read(want('a'));
    t.equal(read(want('b')), undefined);
    here.add(wantKey(want('b')));
    shelf.beginRun(run);
    read(want('a'));
    read(want('b'));
    t.same(told(accesses()), ['catalog shelf /c 1', 'read shelf /a 1', 'read fetched /b 1']);
    t.end();
  },
);

t.test('an open reads nothing; with no log nothing is asked for', (t) => {
  const { shelf, recorder, accesses } = recorded();
  let asked = 0;
  const unasked = (): undefined => {
    asked++;
  };
  shelf.opened?.(unasked);
  shelf.record?.(recorder);
  shelf.beginRun({});
  shelf.opened?.(() => want('a'));
  shelf.opened?.(() => undefined);
  shelf.record?.(undefined);
  shelf.opened?.(unasked);
  t.equal(asked, 0);
  t.same(told(accesses()), ['open none /a 1']);
  t.end();
});
