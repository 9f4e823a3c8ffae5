import { Argument, type Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import { isoTime } from '../../lib/format/time.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { runAction } from './failures.js';
import { addOptions, outputOptions, type OutputFlags } from './options.js';
import { printJson } from './output.js';
import { publishPlace } from './publish.js';
import { signingKeyOption, storageOptions } from './repo-options.js';
import { tableLines, tagColumns } from './table.js';

const tagOptions = {
  message: {
    flag: '--message',
    value: 'text',
    kind: 'text',
    help: 'what the tag says of the revision',
  },
  hash: {
    flag: '--hash',
    value: 'roothash',
    kind: 'text',
    help: 'the revision with this root hash (default: the newest one)',
  },
} as const satisfies OptionRows;

type StorageFlags = OutputFlags & OptionValues<typeof storageOptions>;
type SigningFlags = StorageFlags & OptionValues<typeof signingKeyOption>;
type TagFlags = SigningFlags & OptionValues<typeof tagOptions>;

const nameArgument = 'fully qualified name of the repository, such as demo.example.org';

/** Adds `repo tag` and `repo rollback`. */
export function registerTags(repo: Command): void {
  const command = (name: string): Command =>
    addOptions(outputOptions(repo.command(name)), { ...storageOptions, ...signingKeyOption });
  addOptions(command('tag'), tagOptions)
    .description('name revisions for ever, take names away, list them')
    // The description of commands, for shells and manual, has two words at most.
    .addArgument(new Argument('<action>', 'what to do').choices(['add', 'rm', 'list']))
    .argument('<fqrn>', nameArgument)
    .argument('[name...]', 'letters, digits and - _ . / :')
    .action(tag);
  command('rollback')
    .description('publish the tree that a tag names as a new revision')
    .argument('<fqrn>', nameArgument)
    .argument('<name>', 'tag')
    .action(rollback);
}

async function tag(
  action: 'add' | 'rm' | 'list',
  fqrn: string,
  names: readonly string[],
  flags: TagFlags,
): Promise<void> {
  await runAction(flags, async () => {
    const [name, ...more] = names;
    if (action === 'list' ? name !== undefined : name === undefined)
      throw new PinfsError(
        'USAGE',
        `repo tag ${action}: ${name === undefined ? 'a name is lacking' : 'no name is taken'}`,
      );
    if (action === 'add' && more.length > 0)
      throw new PinfsError('USAGE', 'repo tag add takes one name');
    if (action === 'list') await list(fqrn, flags);
    else if (action === 'rm') await remove(fqrn, names, flags);
    else await add(fqrn, name ?? '', flags);
  });
}

async function add(fqrn: string, name: string, flags: TagFlags): Promise<void> {
  const { addRepositoryTag } = await import('../../lib/publish/publish.js');
  const { message = '', hash } = flags;
  const made = await addRepositoryTag(await publishPlace(fqrn, flags), { name, message, hash });
  if (flags.json === true) printJson(made);
  else process.stdout.write(`${fqrn}: ${name} is revision ${made.revision}, ${made.hash}\n`);
}

async function remove(fqrn: string, names: readonly string[], flags: SigningFlags): Promise<void> {
  const { removeRepositoryTags } = await import('../../lib/publish/publish.js');
  await removeRepositoryTags(await publishPlace(fqrn, flags), names);
  if (flags.json === true) printJson({ fqrn, removed: names });
  else process.stdout.write(`${fqrn}: ${names.join(', ')} removed\n`);
}

async function list(fqrn: string, flags: StorageFlags): Promise<void> {
  const { listRepositoryTags } = await import('../../lib/publish/publish.js');
  const tags = await listRepositoryTags(flags.storage, fqrn);
  if (flags.json === true) printJson(tags);
  const rows = tags.map(({ name, revision, hash, timestamp, description }) =>
    [name, String(revision), isoTime(timestamp), hash, description].map(printableText),
  );
  const lines = flags.json === true ? [] : tableLines(tagColumns, rows);
  for (const line of lines) process.stdout.write(`${line}\n`);
}

async function rollback(fqrn: string, name: string, flags: SigningFlags): Promise<void> {
  await runAction(flags, async () => {
    const { rollBackTo } = await import('../../lib/publish/publish.js');
    const report = await rollBackTo(await publishPlace(fqrn, flags), name);
    const { revision, rootHash, isUnchanged } = report;
    if (flags.json === true) printJson({ fqrn, revision, rootHash: rootHash.text, isUnchanged });
    else if (isUnchanged) process.stdout.write(`${fqrn}: ${name} is the newest revision\n`);
    else process.stdout.write(`${fqrn}: revision ${revision} is ${name} again, ${rootHash.text}\n`);
  });
}
