import type { Test } from 'tap';
import { fromText } from '../../format/bytes.js';
import type { ErrorCode } from '../../format/errors.js';
import type { Source, SourceRequest } from '../../source/source.js';

/** A source over these files (names are byte strings), which the suite closes. */
export type MakeSource = (t: Test, files: ReadonlyMap<string, Buffer>) => Promise<Source>;

/** Holds that a promise is rejected with a PinfsError of this code. */
export async function rejectsWith(
  t: Test,
  promise: Promise<unknown>,
  code: ErrorCode,
  message = `rejected with ${code}`,
): Promise<void> {
  await t.rejects(promise, { name: 'PinfsError', code }, message);
}

const digits = Buffer.from('0123456789');

const files = new Map<string, Buffer>([
  ['.cvmfspublished', Buffer.from('C0\n--\n')],
  ['empty', Buffer.alloc(0)],
  ['digits', digits],
  ['data/00/large', Buffer.alloc(700_000, 'large')],
  ['odd/100% sure?#[1]+&~\\', Buffer.from('ascii')],
  [`odd/${fromText('grün')}`, Buffer.from('utf-8')],
  ['odd/\xff\xfe\n', Buffer.from('bytes')],
]);

/** What every source promises (see `Source`), whatever it is made of. */
export function conforms(t: Test, make: MakeSource): void {
  void t.test('gives files byte by byte', async (t) => {
    const source = await make(t, files);
    for (const [path, content] of files) {
      t.ok((await source.get(path, 1_000_000)).equals(content), JSON.stringify(path));
    }
    t.ok((await source.get('/digits', 10)).equals(digits), 'a slash in front does not matter');
    t.ok((await source.get('digits', 10, { fresh: true })).equals(digits), 'fresh');
  });

  void t.test('reads up to the limit and not beyond', async (t) => {
    const source = await make(t, files);
    t.equal((await source.get('digits', 10)).length, 10);
    t.equal((await source.get('empty', 0)).length, 0);
    await rejectsWith(t, source.get('digits', 9), 'OBJECT_TOO_LARGE');
    await rejectsWith(t, source.get('data/00/large', 699_999), 'OBJECT_TOO_LARGE');
    t.ok(source.traffic.bytes < 700_000, 'not read first');
  });

  void t.test('knows what is missing', async (t) => {
    const source = await make(t, files);
    for (const path of ['nothing', 'data/00/nothing', 'data/00', 'data', 'digits/below']) {
      await rejectsWith(t, source.get(path, 10), 'OBJECT_MISSING', path);
    }
    t.equal(source.traffic.failures, 0, 'which is no failure of the source');
  });

  void t.test('has nothing outside itself', async (t) => {
    const source = await make(t, files);
    const paths = ['', '/', '.', '..', '../x', 'data/../digits', 'a//b', 'digits/', './digits'];
    for (const path of [...paths, 'digits\0', '/../../etc/passwd']) {
      await rejectsWith(t, source.get(path, 1000), 'OBJECT_MISSING', JSON.stringify(path));
    }
  });

  void t.test('gives ranges', async (t) => {
    const source = await make(t, files);
    const range = async (offset: number, length: number, limit = 10): Promise<string> =>
      (await source.get('digits', limit, { range: { offset, length } })).toString();
    t.equal(await range(0, 10), '0123456789');
    t.equal(await range(3, 4), '3456');
    t.equal(await range(9, 1), '9');
    t.equal(await range(3, 4, 4), '3456', 'the limit is for what is kept');
    t.equal(await range(5, 0), '');
    await rejectsWith(t, range(8, 3), 'OBJECT_SIZE_MISMATCH');
    await rejectsWith(t, range(10, 1), 'OBJECT_SIZE_MISMATCH');
    await rejectsWith(t, range(0, 5, 4), 'OBJECT_TOO_LARGE');
    const missing = source.get('nothing', 10, { range: { offset: 0, length: 1 } });
    await rejectsWith(t, missing, 'OBJECT_MISSING');
  });

  void t.test('gives them to a sink', async (t) => {
    const source = await make(t, files);
    let pieces: Buffer[] = [];
    const sink = {
      begin: () => void (pieces = []),
      write: (chunk: Buffer) => void pieces.push(Buffer.from(chunk)),
    };
    const sunk = async (path: string, limit: number, range?: SourceRequest['range']) => {
      sink.begin();
      const rest = await source.get(path, limit, { sink, ...(range && { range }) });
      return Buffer.concat([...pieces, rest]);
    };
    for (const [path, content] of files) {
      t.ok((await sunk(path, 1_000_000)).equals(content), JSON.stringify(path));
    }
    t.equal(String(await sunk('digits', 10, { offset: 3, length: 4 })), '3456');
    t.equal((await sunk('digits', 10, { offset: 5, length: 0 })).length, 0);
    await rejectsWith(t, sunk('digits', 9), 'OBJECT_TOO_LARGE');
    await rejectsWith(t, sunk('digits', 10, { offset: 8, length: 3 }), 'OBJECT_SIZE_MISMATCH');
    await rejectsWith(t, sunk('nothing', 10), 'OBJECT_MISSING');
  });

  void t.test('can be interrupted', async (t) => {
    const source = await make(t, files);
    const aborted = AbortSignal.abort();
    await rejectsWith(t, source.get('digits', 10, { signal: aborted }), 'INTERRUPTED');
    const controller = new AbortController();
    const waiting = source.get('digits', 10, { signal: controller.signal });
    controller.abort();
    await rejectsWith(t, waiting, 'INTERRUPTED');
    const { signal } = new AbortController();
    t.ok((await source.get('digits', 10, { signal })).equals(digits), 'others go on');
  });

  void t.test('gives each of many its own bytes', async (t) => {
    const many = new Map<string, Buffer>();
    for (let index = 0; index < 200; index++) {
      many.set(`data/${index}`, Buffer.from(`content ${index} `.repeat(index)));
    }
    const source = await make(t, many);
    const got = await Promise.all([...many.keys()].map((path) => source.get(path, 10_000)));
    const wanted = [...many.values()];
    t.ok(got.every((bytes, index) => bytes.equals(wanted[index] ?? Buffer.alloc(1))));
    const total = wanted.reduce((sum, { length }) => sum + length, 0);
    t.match(source.traffic, { requests: 200, bytes: total, failures: 0 });
  });

  void t.test('ends when it is closed', async (t) => {
    const source = await make(t, files);
    await source.get('digits', 10);
    await source.close();
    await rejectsWith(t, source.get('digits', 10), 'INTERRUPTED');
    await source.close();
  });
}
