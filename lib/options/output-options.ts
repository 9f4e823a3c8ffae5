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
} as const satisfies OptionRows;
