import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import { unpack } from '../lib/store/inflate.js';
import type { Want } from '../lib/store/want.js';

/**
 * Inflating with node:zlib (as the store does, hash check and all) against zlib-sync, by size of the
 * object, interleaved: median time of one, and the memory that stays behind each. `node dist/bench/inflate.js`.
 */
interface Way {
  readonly name: string;
  run(stored: Buffer, size: number, want: Want): Buffer | null;
}

async function zlibSync(): Promise<Way | undefined> {
  try {
    const zlib = (await import('zlib-sync')).default;
    return {
      name: 'zlib-sync',
      // The last byte apart: only so it shows whether the stream ends where its bytes do.
      run(stored, size) {
        createHash('sha1').update(stored).digest('hex');
        const inflate = new zlib.Inflate({ chunkSize: size + 1 });
        inflate.push(stored.subarray(0, -1), zlib.Z_NO_FLUSH);
        inflate.push(stored.subarray(-1), zlib.Z_NO_FLUSH);
        return inflate.err === zlib.Z_STREAM_END ? (inflate.result as Buffer) : null;
      },
    };
  } catch {
    return undefined;
  }
}

const nodeZlib: Way = { name: 'node:zlib', run: (stored, _, want) => unpack(stored, want) };

/** Text that shrinks to about 40 %, as binaries and scripts do. */
function sample(size: number): Buffer {
  let state = 12345;
  const words = Array.from({ length: Math.ceil(size / 4) }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return (state >> 8).toString(36);
  });
  return Buffer.from(words.join(' ').slice(0, size));
}

function median(values: number[]): number {
  const sorted = values.sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

function measure(way: Way, size: number): { microseconds: number; left: number } {
  const plain = sample(size);
  const stored = deflateSync(plain);
  const hash = {
    algorithm: 'sha1',
    text: createHash('sha1').update(stored).digest('hex'),
  } as const;
  const want: Want = {
    object: { hash, kind: 'data' },
    compression: 'zlib',
    size: { kind: 'exact', bytes: size },
    path: '/sample',
  };
  if (way.run(stored, size, want)?.equals(plain) !== true) throw new Error(`${way.name} is wrong`);
  const count = Math.max(20, Math.min(2000, Math.floor(2 ** 24 / size)));
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const start = process.hrtime.bigint();
  for (let index = 0; index < count; index++) way.run(stored, size, want);
  const microseconds = Number(process.hrtime.bigint() - start) / 1000 / count;
  globalThis.gc?.();
  return { microseconds, left: (process.memoryUsage().rss - before) / count };
}

const ways = [nodeZlib, await zlibSync()].filter((way) => way !== undefined);
process.stdout.write('bytes  way        µs an object  bytes left behind (with --expose-gc)\n');
for (const size of [512, 4096, 32_768, 262_144]) {
  const rounds = Array.from({ length: 5 }, () => ways.map((way) => measure(way, size)));
  ways.forEach((way, index) => {
    const time = median(rounds.map((round) => round[index]?.microseconds ?? NaN));
    const left = median(rounds.map((round) => round[index]?.left ?? NaN));
    const columns = [String(size).padEnd(6), way.name.padEnd(10), time.toFixed(1).padStart(12)];
    process.stdout.write(`${columns.join(' ')} ${left.toFixed(0).padStart(10)}\n`);
  });
}
