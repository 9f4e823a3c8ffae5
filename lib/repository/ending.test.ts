import t from 'tap';
import { objectPath } from '../format/hash.js';
import { openBench, readText } from '../testing/bench.js';
import { otherCertificate } from '../publish/keys.js';
import {
  file,
  makeRepository,
  type MadeRevision,
  type RepositorySpec,
} from '../publish/write-repository.js';
import { refresh } from './follow.js';

// Every wait takes part in the end of what it is for.

const spec: RepositorySpec = {
  ttl: 900,
  revisions: [
    { tree: { file: file('one') }, tags: { v1: 'the first' } },
    { tree: { file: file('two') }, tags: { v2: 'the second' } },
  ],
};
const made = makeRepository(spec);
const [first, second] = made.revisions as [MadeRevision, MadeRevision];
// A certificate that is in the cache is not asked for again: that of the new head is another one.
const resigned = makeRepository({ ...spec, certificate: otherCertificate });

void t.test('whoever waits for a new head is let go at the end of a mount', async (t) => {
  for (const part of ['.cvmfspublished', '.cvmfswhitelist', 'certificate', 'root'] as const) {
    const bench = await openBench(t, made);
    bench.files.set('.cvmfspublished', first.manifest);
    const old = await bench.open();
    const next = part === 'certificate' ? resigned : made;
    for (const [path, bytes] of next.files) bench.files.set(path, bytes);
    const object = { hash: second.rootHash, kind: 'catalog' } as const;
    const hung = part === 'root' ? objectPath(object) : part === 'certificate' ? /X$/ : part;
    bench.server.reset();
    bench.server.behave(hung, 'hang');
    const ending = new AbortController();
    const waiting = refresh(old, ending.signal);
    while (bench.server.count(hung) === 0) await new Promise(setImmediate);
    const began = performance.now();
    ending.abort();
    await waiting.catch(() => undefined);
    t.ok(performance.now() - began < 5000, part);
  }
});

void t.test('a source that is closed ends what is waited for', async (t) => {
  const bench = await openBench(t, made);
  const opened = await bench.open();
  bench.server.reset();
  bench.server.behave(/^data/, 'hang');
  const reading = readText(opened);
  while (bench.server.requests.length === 0) await new Promise(setImmediate);
  await Promise.all([t.rejects(reading, { code: 'INTERRUPTED' }), opened.close()]);
});
