import { randomBytes } from 'node:crypto';
import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import { memorySource } from '../../testing/fakes/memory-source.js';
import { startBadServer } from '../../testing/servers/bad-server.js';
import { objectPath } from '../../format/hash.js';
import { httpSource } from '../../source/http/http.js';
import { download } from './download.js';
import type { Leg } from './flight.js';
import { openStaging } from '../cache/staging.js';

const leg: Leg = {
  signal: new AbortController().signal,
  demand: {
    urgency: 'wanted',
    persistent: false,
    watch: () => () => undefined,
    came: () => undefined,
    failed: () => undefined,
  },
  transfer: (run) => run(),
};

// Small answers need no place.
const staging = openStaging(() => undefined);

void t.test('what is not what was wanted is asked for once more, past caches', async (t) => {
  const source = memorySource();
  const want = source.put(Buffer.from('some bytes'));
  const keep = () => Promise.reject(new PinfsError('OBJECT_HASH_MISMATCH', 'wrong'));
  await t.rejects(download(source, want, keep, leg, staging), { code: 'OBJECT_HASH_MISMATCH' });
  t.same(
    source.requests.map(({ request }) => request.fresh === true),
    [false, true],
  );
});

void t.test('where it only can not be kept, it is not asked for again', async (t) => {
  const source = memorySource();
  const want = source.put(Buffer.from('some bytes'));
  const keep = () => Promise.reject(new PinfsError('CACHE_FULL', 'full'));
  await t.rejects(download(source, want, keep, leg, staging), { code: 'CACHE_FULL' });
  t.equal(source.requests.length, 1);
});

void t.test('where the first try used the bound up, what was wrong with it is told', async (t) => {
  const source = memorySource();
  const size = { kind: 'limit', bytes: 100 } as const;
  const want = { ...source.put(randomBytes(60), { compression: 'none' }), size };
  const keep = () => Promise.reject(new PinfsError('OBJECT_HASH_MISMATCH', 'wrong'));
  await t.rejects(download(source, want, keep, leg, staging), { code: 'OBJECT_HASH_MISMATCH' });
  t.same(
    source.requests.map(({ limit }) => limit),
    [100, 40],
  );
  // Of which nothing came.
  source.before = (_, { fresh }) => {
    if (fresh !== true) throw new PinfsError('SOURCE_ENCODING', 'gzip');
    for (const path of source.files.keys()) source.files.set(path, randomBytes(101));
  };
  await t.rejects(download(source, want, keep, leg, staging), { code: 'OBJECT_TOO_LARGE' });
});

void t.test('who gave what is damaged is named, also where there is only one', async (t) => {
  const want = memorySource().put(Buffer.from('some bytes'));
  const server = await startBadServer(
    new Map([[objectPath(want.object), Buffer.from('other bytes')]]),
  );
  const source = httpSource(server.url);
  t.teardown(async () => {
    await source.close();
    await server.close();
  });
  const keep = () => Promise.reject(new PinfsError('OBJECT_HASH_MISMATCH', 'it is damaged'));
  await t.rejects(download(source, want, keep, leg, staging), {
    code: 'OBJECT_HASH_MISMATCH',
    message: `it is damaged (${objectPath(want.object)} of ${server.url})`,
  });
});
