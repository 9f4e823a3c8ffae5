import { mountOptionTable, protectionOptionTable } from './mount-options.js';
import type { OptionRows } from './option.js';
import { outputOptionTable } from './output-options.js';
import { sourceOptionTable } from './source-options.js';

/** All tables whose options `pinfs mount` has. */
export const mountTables: readonly OptionRows[] = [
  outputOptionTable,
  sourceOptionTable,
  mountOptionTable,
  protectionOptionTable,
];
