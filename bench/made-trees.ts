/** The trees that the series reads, as specs: the same each time, so that figures of different days compare. */
import { directory, file, nested, type TreeSpec } from '../lib/publish/spec.js';
import { makeContent, makeTree, seededRandom } from '../lib/testing/trees.js';

export type TreeName = 'tree' | 'catalogs' | 'chunked' | 'job' | 'job-before';

/** Raised when a spec below changes, so that a kept repository of the old one is made anew. */
export const treesVersion = 1;

const noiseBytes = 16; // A quarter of the bytes: stored at 0.3 of the size, as software is.

export function treeSpec(name: TreeName, small: boolean): TreeSpec {
  switch (name) {
    case 'tree':
      return makeTree({
        files: small ? 970 : 19_400,
        directories: small ? 75 : 1500,
        nestedCatalogs: small ? 4 : 40,
        meanSize: 8.6 * 1024,
        noiseBytes,
        seed: 11,
      });
    case 'catalogs':
      return manyCatalogs(small ? 100 : 2000);
    case 'chunked':
      return oneChunkedFile((small ? 32 : 512) * 2 ** 20);
    case 'job':
      return jobTree(small, false);
    case 'job-before':
      return jobTree(small, true);
  }
}

const filesInCatalog = 20;

/** The catalogs lie in groups, so that no directory is large. */
function manyCatalogs(catalogs: number): TreeSpec {
  const contents = [100, 2000, 9000].map((size) =>
    Buffer.alloc(size, `content of ${size} bytes\n`),
  );
  const groupWidth = Math.ceil(Math.sqrt(catalogs));
  const groups: Record<string, TreeSpec> = {};
  for (let index = 0; index < catalogs; index++) {
    const group = (groups[`group${Math.floor(index / groupWidth)}`] ??= {}) as Record<
      string,
      TreeSpec[string]
    >;
    group[`package${index}`] = nested(
      Object.fromEntries(
        Array.from({ length: filesInCatalog }, (_, number) => [
          `file${index}-${number}`,
          file(contents[number % contents.length] ?? ''),
        ]),
      ),
    );
  }
  return Object.fromEntries(
    Object.entries(groups).map(([name, entries]) => [name, directory(entries)]),
  );
}

/** What one job reads: 40 directories with 75 files each, five of them nested catalogs; before, a tenth was different. */
function jobTree(small: boolean, isBefore: boolean): TreeSpec {
  const random = seededRandom(14);
  const files = small ? 8 : 75;
  const directories = Array.from({ length: 40 }, (_, number) => {
    const entries = Array.from({ length: files }, (_, index) => {
      const size = 1000 + Math.floor(random() * 15_000);
      const content = makeContent(index, size, noiseBytes, random);
      const isOther = isBefore && (number * files + index) % 10 === 0;
      const name = `module_${number}_part_${index}.py`;
      return [name, file(isOther ? Buffer.concat([content, Buffer.from('before')]) : content)];
    });
    const all = Object.fromEntries(entries) as TreeSpec;
    return [`package${number}`, number % 8 === 0 ? nested(all) : directory(all)] as const;
  });
  return { software: directory(Object.fromEntries(directories)) };
}

/** Chunks of 9 to 12 MiB, as publishers cut by content: 46 to 56 of them in 512 MiB. */
function oneChunkedFile(length: number): TreeSpec {
  const random = seededRandom(12);
  const chunks: number[] = [];
  for (let sum = 0; sum < length; sum += chunks.at(-1) ?? length) {
    chunks.push(9 * 2 ** 20 + Math.floor(random() * 3 * 2 ** 20));
  }
  return { 'big.bin': file(makeContent(0, length, noiseBytes, random), { chunks }) };
}
