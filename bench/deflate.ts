import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import {
  isStock,
  libzDeflater,
  pakoDeflater,
  type Deflater,
} from '../lib/publish/objects/deflate.js';
import { median } from './median.js';

/**
 * What deflates objects that are published: the system's libz through koffi, pako, node:zlib. Speed by size of the
 * object, interleaved, over the bytes of the program that runs this; and whether the streams are those of stock zlib.
 * `node dist/bench/deflate.js`
 */
const nodeZlib: Pick<Deflater, 'deflate'> = {
  deflate(pieces, take) {
    take(deflateSync(Buffer.concat([...pieces])));
  },
};

const ways = [
  ['libz', libzDeflater()],
  ['pako', pakoDeflater],
  ['node:zlib', nodeZlib],
] as const;
const plain = readFileSync(process.execPath).subarray(32 * 2 ** 20, 48 * 2 ** 20);

/** Megabytes of plain bytes in a second. */
function speed(way: Pick<Deflater, 'deflate'>, size: number, bytes: number): number {
  const start = process.hrtime.bigint();
  for (let at = 0; at < bytes; at += size) {
    const hash = createHash('sha1');
    way.deflate([plain.subarray(at, at + size)], (packed) => void hash.update(packed));
    hash.digest();
  }
  return (bytes * 1000) / Number(process.hrtime.bigint() - start);
}

process.stdout.write('bytes     way        MB/s   stream of stock zlib\n');
for (const size of [1024, 8192, 65_536, 1_048_576, 8_388_608]) {
  const bytes = Math.max(size, 4 * 2 ** 20);
  const rounds = Array.from({ length: 5 }, () =>
    ways.map(([, way]) => (way === undefined ? NaN : speed(way, size, bytes))),
  );
  ways.forEach(([name, way], index) => {
    const rate = median(rounds.map((round) => round[index] ?? NaN)).toFixed(1);
    const isSame = way !== undefined && isStock({ name: 'pako', ...way }) ? 'yes' : 'no';
    process.stdout.write(
      `${String(size).padEnd(9)} ${name.padEnd(10)} ${rate.padStart(5)}  ${isSame}\n`,
    );
  });
}
