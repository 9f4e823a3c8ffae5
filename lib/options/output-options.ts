import type { OptionRows } from './option.js';

/** Options of every command. */
export const outputOptionTable = {
  json: {
    flag: '--json',
    kind: 'flag',
    fstab: false,
    help: 'print one JSON value for programs',
    manual:
      'One JSON value on the standard output, for errors as well (`find` prints one on each line).',
  },
  verbose: {
    flag: '--verbose',
    kind: 'flag',
    help: 'say more: the chain of trust step by step, causes of errors',
    manual: 'The chain of trust step by step; causes of errors.',
  },
} as const satisfies OptionRows;
