/** `npm run documents` writes anew what is made from the command line: completions, docs/configuration.md, the manual's page of each command (and their list in package.json), and parts of pinfs.1 and of the README. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkout } from '../lib/testing/genuine.js';
import { describeProgram, madeBy } from './command-line.js';
import { configurationDocument } from './configuration-document.js';
import { bashCompletion } from './completion-bash.js';
import { fishCompletion } from './completion-fish.js';
import { zshCompletion } from './completion-zsh.js';
import { manualEnvironment, manualOptions, readmeEnvironment } from './manual.js';
import { commandPages, manualTopics } from './manual-pages.js';

const completions = join('share', 'completions');
const manual = join('share', 'man', 'pinfs.1');
const readme = 'README.md';

interface Marks {
  readonly begin: string;
  readonly end: string;
}

const byHand = 'Written by hand again.';
const roff: Marks = { begin: `.\\" ${madeBy}\n`, end: `.\\" ${byHand}\n` };
const markdown: Marks = { begin: `<!-- ${madeBy} -->\n`, end: `<!-- ${byHand} -->\n` };

/** What is made, by its path in the checkout. */
export async function madeDocuments(): Promise<ReadonlyMap<string, string>> {
  const program = await describeProgram();
  const whole = withMade(manual, roff, [
    manualOptions(program),
    manualTopics(),
    manualEnvironment(program),
  ]);
  const pages = commandPages(program, whole);
  const names = ['pinfs.1', ...pages.keys()];
  return new Map([
    [join(completions, 'pinfs.bash'), bashCompletion(program)],
    [join(completions, '_pinfs'), zshCompletion(program)],
    [join(completions, 'pinfs.fish'), fishCompletion(program)],
    [join('docs', 'configuration.md'), configurationDocument()],
    [manual, whole],
    ...[...pages].map(([name, text]) => [join('share', 'man', name), text] as const),
    ['package.json', packageWith(names.map((name) => `./share/man/${name}`))],
    [readme, withMade(readme, markdown, [readmeEnvironment(program)])],
  ]);
}

/** package.json, with the pages that npm puts where man(1) looks. */
function packageWith(man: readonly string[]): string {
  const value = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as object;
  return `${JSON.stringify({ ...value, man }, null, 2)}\n`;
}

/** The text of a file with these parts between its marks, one after another. */
function withMade(path: string, { begin, end }: Marks, parts: readonly string[]): string {
  const [first = '', ...pieces] = readFileSync(join(checkout, path), 'utf8').split(begin);
  if (pieces.length !== parts.length) throw new Error(`${path} has lost its marks`);
  return pieces.reduce((text, piece, index) => {
    const to = piece.indexOf(end);
    if (to < 0) throw new Error(`${path} has lost its marks`);
    return text + begin + (parts[index] ?? '') + piece.slice(to);
  }, first);
}

async function main(): Promise<void> {
  for (const [path, text] of await madeDocuments()) writeFileSync(join(checkout, path), text);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
