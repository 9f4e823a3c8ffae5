/**
 * What npm packs has no source maps, so nothing in it may name one: `strip` takes the comments away before packing,
 * `restore` brings them back in the checkout, where the maps are.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkout } from '../lib/testing/genuine.js';

/** The comment at the end of what the compiler writes. */
const comment = /\n\/\/# sourceMappingURL=[^\n]*\n?$/;

/** Of every .js file at or below a directory; those that name none stay as they are. */
export function stripMaps(directory: string): void {
  for (const file of compiledFiles(directory)) {
    const text = readFileSync(file, 'utf8');
    if (comment.test(text)) writeFileSync(file, text.replace(comment, '\n'));
  }
}

/** The other way, where there is a map beside a file that names none. */
export function restoreMaps(directory: string): void {
  for (const file of compiledFiles(directory)) {
    const text = readFileSync(file, 'utf8');
    if (existsSync(`${file}.map`) && !comment.test(text))
      writeFileSync(file, `${text}//# sourceMappingURL=${basename(file)}.map`);
  }
}

function compiledFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .map((name) => join(directory, name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const work = { strip: stripMaps, restore: restoreMaps }[process.argv[2] ?? ''];
  if (work === undefined) throw new Error('pack-maps.js strip|restore');
  for (const folder of ['bin', 'lib', 'bundle']) {
    const directory = join(checkout, 'dist', folder);
    if (existsSync(directory)) work(directory);
  }
}
