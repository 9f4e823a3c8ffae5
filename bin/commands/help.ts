import type { Command } from 'commander';
import { PinfsError } from '../../lib/format/errors.js';
import { nearestName } from '../../lib/configuration/nearest.js';
import { version } from '../../lib/machine/version.js';
import { plainText } from '../manual/text.js';
import { topics } from '../manual/topics.js';
import { runAction } from './failures.js';
import { outputOptions, type OutputFlags } from './options.js';
import { print, printJson } from './output.js';

const description = `help for a command, or for a topic

Topics:
${topics.map(({ name, title }) => `  ${`topic-${name}`.padEnd(18)}${title}`).join('\n')}`;

/** `pinfs help COMMAND` is `pinfs COMMAND --help` before it comes here. */
export function register(program: Command): void {
  outputOptions(program.command('help'))
    .description(description)
    .summary('help for a command, or for a topic such as topic-pins')
    .argument('<topic>', 'a command, or one of the topics')
    .action(async (topic: string, flags: OutputFlags) => {
      await runAction(flags, () => showTopic(topic, flags));
    });
  outputOptions(program.command('version'))
    .description('the version of pinfs, as --version prints it')
    .action(async (flags: OutputFlags) => {
      await runAction(flags, async () => {
        if (flags.json === true) printJson({ version, node: process.version });
        else await print(`${version}\n`);
      });
    });
}

async function showTopic(word: string, flags: OutputFlags): Promise<void> {
  const topic = topics.find(({ name }) => `topic-${name}` === word);
  if (topic === undefined) {
    const names = topics.map(({ name }) => `topic-${name}`);
    const meant = nearestName(word, names);
    throw new PinfsError('USAGE', `there is no help for '${word}'`, {
      advice: meant === undefined ? `Topics: ${names.join(', ')}.` : `Did you mean ${meant}?`,
    });
  }
  const columns = process.stdout.isTTY ? process.stdout.columns : 80;
  const text = plainText(topic.text, columns);
  if (flags.json === true) printJson({ topic: topic.name, title: topic.title, text });
  else await print(`${topic.name}: ${topic.title}\n\n${text}\n`);
}
