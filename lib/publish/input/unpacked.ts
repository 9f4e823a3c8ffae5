import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { fromText, printable } from '../../format/bytes.js';
import { errorReason } from '../../format/errno.js';
import { fileFault } from '../../format/file-fault.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { malformed } from './tar-header.js';

interface Packing {
  readonly magic: Buffer;
  /** The program that unpacks it; undefined: Node can. */
  readonly program: string | undefined;
}

const packings: readonly Packing[] = [
  { magic: Buffer.from('1f8b', 'hex'), program: undefined },
  { magic: Buffer.from('28b52ffd', 'hex'), program: 'zstd' },
  { magic: Buffer.from('fd377a585a00', 'hex'), program: 'xz' },
];

/** The bytes of an archive, unpacked; how they are packed is seen from their beginning. */
export async function* unpackedBytes(from: string): AsyncGenerator<Buffer> {
  const name = from === '-' ? 'the standard input' : printable(fromText(from));
  const source: Readable = from === '-' ? process.stdin : createReadStream(from);
  const failed = (thrown: unknown): PinfsError =>
    thrown instanceof PinfsError
      ? thrown
      : new PinfsError('INPUT_UNREADABLE', `${name}: ${fileFault(thrown, 'read').why}`, {
          advice: fileFault(thrown, 'read').mend,
        });
  try {
    const { first, all } = await begun(source);
    const packing = packings.find(({ magic }) => first.subarray(0, magic.length).equals(magic));
    if (packing === undefined) yield* all;
    else if (packing.program === undefined) yield* gunzipped(all);
    else yield* throughProgram(packing.program, all);
  } catch (thrown) {
    const { code } = asPinfsError(thrown);
    throw code === 'ARCHIVE_MALFORMED' ? thrown : failed(thrown);
  } finally {
    source.destroy();
  }
}

/** The first bytes of a stream, enough to see what it is, and all of them. */
async function begun(source: Readable): Promise<{ first: Buffer; all: AsyncGenerator<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let first = Buffer.alloc(0);
  while (first.length < 6) {
    const next = await iterator.next();
    if (next.done === true) break;
    first = Buffer.concat([first, next.value]);
  }
  const all = async function* (): AsyncGenerator<Buffer> {
    yield first;
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return;
      yield next.value;
    }
  };
  return { first, all: all() };
}

async function* gunzipped(packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: 2 ** 18 });
  const source = Readable.from(packed, { objectMode: false });
  source.on('error', (error) => gunzip.destroy(error));
  try {
    yield* source.pipe(gunzip) as AsyncIterable<Buffer>;
  } catch (thrown) {
    if (errorReason(thrown).startsWith('Z_')) throw malformed('is no whole gzip file');
    throw thrown;
  } finally {
    gunzip.destroy();
  }
}

/** Node can't unpack it; the program reads no files and gets no other arguments. */
async function* throughProgram(
  program: string,
  packed: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const child = spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = new Promise<number | string>((resolve) => {
    child.on('error', (error) => resolve(errorReason(error)));
    child.on('close', (code) => resolve(code ?? 'killed'));
  });
  // It says by its exit code what was wrong.
  child.stdin.on('error', () => undefined);
  const source = Readable.from(packed, { objectMode: false });
  let cause: unknown;
  source.on('error', (error) => {
    cause = error;
    child.kill();
  });
  source.pipe(child.stdin);
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const code = await ended;
    if (cause !== undefined) throw cause as Error;
    if (code === 'ENOENT')
      throw new PinfsError('INPUT_UNREADABLE', `the archive needs the program ${program}`, {
        advice: `Install ${program}, or unpack the archive first and give it as \`-\`.`,
      });
    if (code !== 0) throw malformed(`is nothing that ${program} can unpack`);
  } finally {
    child.kill();
    source.destroy();
  }
}
