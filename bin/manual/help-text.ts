import type { Command } from 'commander';
import { examples } from './examples.js';

/** Adds its examples to the help of each command. */
export function addExamples(command: Command, before: readonly string[] = []): void {
  for (const one of command.commands) {
    const words = [...before, one.name()];
    const lines = (examples[words.join('-')] ?? []).flatMap(([line, what]) =>
      what === '' ? [`  ${line}`] : [`  ${line}`, `      ${what}`],
    );
    if (lines.length > 0) one.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
    addExamples(one, words);
  }
}
