import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { mountOptionTable } from '../../lib/options/mount-options.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { runAction } from './failures.js';
import {
  addOptions,
  openOptions,
  outputOptions,
  sourceOptions,
  type OutputFlags,
  type SourceFlags,
} from './options.js';
import { print, printJson } from './output.js';

const completionOptions = {
  /** The line up to the cursor: what its last word may become is printed, in place of the script. */
  line: {
    flag: '--line',
    value: 'text',
    kind: 'text',
    hidden: true,
    help: 'the line that is to be completed; the scripts ask so',
  },
} as const satisfies OptionRows;

type CompletionFlags = OutputFlags & OptionValues<typeof completionOptions>;

const files = { bash: 'pinfs.bash', zsh: '_pinfs', fish: 'pinfs.fish' } as const;

export function register(program: Command): void {
  const command = addOptions(outputOptions(program.command('completion')), completionOptions)
    .description(
      `print the completion of a shell, for it to read

bash: eval "$(pinfs completion bash)" in ~/.bashrc
zsh:  pinfs completion zsh > DIR/_pinfs, where DIR is in $fpath
fish: pinfs completion fish > ~/.config/fish/completions/pinfs.fish

Tags, mounts and words of the settings are completed from what this machine has; no network is asked.`,
    )
    .summary('print the completion of bash, zsh or fish');
  const argument = command.createArgument('<shell>').choices(Object.keys(files));
  command
    .addArgument(argument)
    .action(async (shell: keyof typeof files, flags: CompletionFlags) => {
      await runAction(flags, async () => {
        if (flags.line !== undefined) await print(await wordsFor(flags.line));
        else if (flags.json === true) printJson({ shell, script: scriptOf(shell) });
        else await print(scriptOf(shell));
      });
    });
}

function scriptOf(shell: keyof typeof files): string {
  const url = new URL(`../../../share/completions/${files[shell]}`, import.meta.url);
  return readFileSync(url, 'utf8');
}

/** What the last word of a line may become, one on each line: words that stand for sources, and tags behind an `@`. */
async function wordsFor(line: string): Promise<string> {
  try {
    const words = await sourceWords(line);
    return words.map((word) => `${word}\n`).join('');
  } catch {
    // Whoever types wants no errors between the letters.
    return '';
  }
}

async function sourceWords(line: string): Promise<string[]> {
  const [, ...words] = line.trimStart().split(/\s+/);
  // Before the first blank it is the command that is typed.
  if (words.length < 2) return [];
  const word = words.pop() ?? '';
  const before = words.slice(words[0] === 'cache' ? 2 : 1);
  const command = addOptions(sourceOptions(new Command('complete')), mountOptionTable)
    .argument('[source...]')
    .allowUnknownOption()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  const at = word.lastIndexOf('@');
  const source = at < 0 ? word : word.slice(0, at);
  // Two snapshots are compared; else there is one source, the first.
  const others = command.parse(before, { from: 'user' }).args.length;
  if (others > (words[0] === 'diff' ? 1 : 0)) return [];
  if (at < 0) return await aliases(word);
  command.parse([...before, source], { from: 'user' });
  const tags = await tagsOf(command);
  return tags.map((tag) => `${source}@${tag}`).filter((one) => one.startsWith(word));
}

async function aliases(word: string): Promise<string[]> {
  const { settingsFiles, settingsPlaces } = await import('../../lib/settings/places.js');
  const paths = settingsFiles(settingsPlaces(process.env));
  if (paths.length === 0) return [];
  const { readSettings } = await import('../../lib/settings/read.js');
  const names = paths.flatMap((path) => [...readSettings(path).sources.keys()]);
  return [...new Set(names)].filter((name) => name.startsWith(word)).sort();
}

/** The tags that this machine knows of a source, newest first: nobody is asked. */
async function tagsOf(command: Command): Promise<string[]> {
  const { applySettings } = await import('./settings.js');
  const { inspectSource } = await import('../../lib/repository/inspect.js');
  const { processEnvironment } = await import('../../lib/repository/open/environment.js');
  const { withNames } = await import('./with-repository.js');
  command.processedArgs = [command.args];
  await applySettings(command);
  const [[source = ''] = []] = command.processedArgs as string[][];
  const flags = { ...command.opts<SourceFlags>(), offline: true };
  const quiet = { ...processEnvironment, report: () => undefined };
  const options = await withNames(openOptions(source, flags), quiet);
  const { tags = [] } = await inspectSource(options, quiet);
  // A control character would be typed by the shell.
  return tags.map(({ name }) => name).filter((name) => /^[\x21-\x7e]+$/.test(name));
}
