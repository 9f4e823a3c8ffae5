import type { OptionRows } from './option.js';

/** Options of every command. */
export const outputOptionTable = {
  json: {
    flag: '--json',
    group: 'General',
    kind: 'flag',
    fstab: false,
    help: 'print one JSON value for programs',
    manual:
      'One JSON value on the standard output, for errors as well (`find` prints one on each line).',
  },
  verbose: {
    flag: '--verbose',
    group: 'General',
    kind: 'flag',
    help: 'say more: details, and causes of errors',
    manual:
      'Details, and causes of errors; of commands that open a source the chain of trust, step by step.',
  },
  quiet: {
    flag: '--quiet',
    kind: 'flag',
    fstab: false,
    help: 'no progress',
    manual: 'Nothing is said of how far something has come.',
  },
  progress: {
    flag: '--progress',
    value: 'how',
    kind: 'choice',
    choices: ['auto', 'json'],
    usual: 'auto',
    fstab: false,
    help: 'progress on a terminal, or as JSON on each line of stderr',
    manual:
      'How far something has come that takes longer than a second: on a terminal (`auto`), or once a second as one ' +
      'line of JSON on the standard error (`json`), for front ends.',
  },
  color: {
    flag: '--color',
    value: 'when',
    kind: 'choice',
    choices: ['auto', 'always', 'never'],
    usual: 'auto',
    fstab: false,
    help: 'colour of words that tell a state',
    manual:
      'Colour of words that tell a state; `auto`: on a terminal, unless the variable `NO_COLOR` is set.',
  },
} as const satisfies OptionRows;
