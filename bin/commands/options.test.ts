import { Command } from 'commander';
import t from 'tap';
import { mountOptionTable } from '../../lib/options/mount-options.js';
import { sourceOptionTable } from '../../lib/options/source-options.js';
import { defaultWaitLimits } from '../../lib/source/wait.js';
import {
  addOptions,
  argumentsOf,
  openOptions,
  sourceOptions,
  type SourceFlags,
} from './options.js';

function parsed(args: readonly string[]): SourceFlags {
  const command = sourceOptions(new Command('mount'));
  return command.parse(args, { from: 'user' }).opts<SourceFlags>();
}

void t.test('what is handed to another command line is what was given', (t) => {
  const args = [
    ...['--key', 'a', '--key', 'b', '--fqrn', 'f', '--cache', 'c', '--cache-limit', '1536K'],
    ...['--trust-at', '2015-01-01', '--external', 'e', '--env', 'A=1', '--attestation', 'at'],
    ...['--signer', 's', '--offline', '--strict', '--deadline', '1.5', '--min-rate', '2K'],
    ...['--follow-redirects', '--weak-key', '--inodes', '32'],
  ];
  const options = openOptions('r', parsed(args));
  const again = argumentsOf(sourceOptionTable, options);
  t.same(new Set(again), new Set(args));
  t.same(openOptions('r', parsed(again)), options);
  const flags = addOptions(new Command(), mountOptionTable).parse(['--no-xattrs'], {
    from: 'user',
  });
  t.same(argumentsOf(mountOptionTable, flags.opts()), ['--driver', 'auto', '--no-xattrs']);
  t.end();
});

void t.test('what the help calls a default is one', (t) => {
  t.equal(sourceOptionTable.deadline.usual, defaultWaitLimits.deadline);
  t.equal(sourceOptionTable.minRate.usual, defaultWaitLimits.minRate);
  t.end();
});

void t.test('a path that is not UTF-8 is refused: another file would be opened', (t) => {
  for (const args of [
    ['--cache', 'caf\ufffd'],
    ['--key', '\ufffd.pub'],
    ['--external', '\ufffd'],
  ]) {
    t.throws(() => parsed(args), { code: 'USAGE', message: /not UTF-8/ }, args.join(' '));
  }
  t.end();
});
