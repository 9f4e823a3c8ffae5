/** `npm run documents` writes anew what is made from the command line: completions, and a part of the manual. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkout } from '../lib/testing/genuine.js';
import { describeProgram, madeBy } from './command-line.js';
import { bashCompletion } from './completion-bash.js';
import { fishCompletion } from './completion-fish.js';
import { zshCompletion } from './completion-zsh.js';
import { manualOptions } from './manual.js';

const completions = join('share', 'completions');
const manual = join('share', 'man', 'pinfs.1');

const begin = `.\\" ${madeBy}\n`;
const end = '.\\" Written by hand again.\n';

/** What is made, by its path in the checkout. */
export async function madeDocuments(): Promise<ReadonlyMap<string, string>> {
  const program = await describeProgram();
  return new Map([
    [join(completions, 'pinfs.bash'), bashCompletion(program)],
    [join(completions, '_pinfs'), zshCompletion(program)],
    [join(completions, 'pinfs.fish'), fishCompletion(program)],
    [manual, withOptions(readFileSync(join(checkout, manual), 'utf8'), manualOptions(program))],
  ]);
}

/** The manual with these lines between its marks. */
function withOptions(text: string, options: string): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${manual} has lost its marks`);
  return text.slice(0, from + begin.length) + options + text.slice(to);
}

async function main(): Promise<void> {
  for (const [path, text] of await madeDocuments()) writeFileSync(join(checkout, path), text);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
