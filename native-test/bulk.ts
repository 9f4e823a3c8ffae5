import { createHash } from 'node:crypto';
import {
  directory,
  file,
  makeSmallRepository,
  nested,
  type EntrySpec,
} from '../lib/publish/write-repository.js';

/** Bytes that no compression makes smaller, the same each time. */
function noise(seed: string, length: number): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < length; at += 32) {
    pieces.push(createHash('sha256').update(`${seed} ${at}`).digest());
  }
  return Buffer.concat(pieces).subarray(0, length);
}

function files(seed: string, count: number, size: number): Record<string, EntrySpec> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `file-${index}`,
      file(noise(`${seed} ${index}`, size + index)),
    ]),
  );
}

/** Some catalogs, files and chunks: enough that readers are at work for a while. */
export const bulk = makeSmallRepository({
  plain: directory(files('plain', 12, 3000)),
  ...Object.fromEntries(
    Array.from({ length: 5 }, (_, index) => [
      `nested-${index}`,
      nested(files(`nested ${index}`, 8, 2000)),
    ]),
  ),
  deep: nested({ inner: nested(files('inner', 4, 10_000)) }),
  large: file(noise('large', 1_500_000), { chunks: [200_000] }),
  whole: file(noise('whole', 300_000)),
});
