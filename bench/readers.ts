/** Who reads what: lists of files, and the shell commands that read them in their order. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { seededRandom } from '../lib/testing/trees.js';
import type { KeptFile } from './kept.js';

const chosenCount = 500;
const chosenDirectories = 40;
// 500 of about 700: whoever fetches whole directories wastes more than a tenth.
const filesOfDirectoryMin = 16;

/** 500 files of 40 directories in random order, always the same; fewer of a small tree. */
export function chosenFiles(files: readonly KeptFile[]): readonly KeptFile[] {
  const random = seededRandom(13);
  const folders = new Map<string, KeptFile[]>();
  for (const one of files) {
    const folder = dirname(one.path);
    folders.set(folder, [...(folders.get(folder) ?? []), one]);
  }
  const large = [...folders.values()].filter((held) => held.length >= filesOfDirectoryMin);
  const taken = shuffled(large, random).slice(0, chosenDirectories).flat();
  return shuffled(taken, random).slice(0, chosenCount);
}

/** All files of a job in an order of its own, always the same. */
export function jobOrder(files: readonly KeptFile[]): readonly KeptFile[] {
  const named = files.filter(({ path }) => path.includes('_part_'));
  return shuffled(named, seededRandom(13));
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const keyed = values.map((value) => ({ value, key: random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ value }) => value);
}

/** A shell command with which so many readers read distinct parts of the files at once, in the order given. */
export function readers(files: readonly KeptFile[], count: number, work: string): string {
  const share = Math.ceil(files.length / count);
  const commands = Array.from({ length: count }, (_, index) => {
    const names = join(work, `reader-${index}`);
    const part = files.slice(index * share, (index + 1) * share);
    writeFileSync(names, part.map(({ path }) => `${path}\0`).join(''));
    return `xargs -0 -a '${names}' cat > /dev/null & p="$p $!"`;
  });
  return `${commands.join('; ')}; for one in $p; do wait $one || exit 1; done`;
}
