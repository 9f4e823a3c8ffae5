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

/** The options of a table that a command has; `otherwise`: whether it has those whose rows name no command. */
export function rowsOn(rows: OptionRows, command: string, otherwise = true): OptionRows {
  return Object.fromEntries(
    Object.entries(rows).filter(([, { on }]) => on?.includes(command) ?? otherwise),
  );
}
