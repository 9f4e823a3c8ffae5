/* What a file of configuration may ask of us at most. */

/** Of one file. */
export const configurationBytesMax = 1024 * 1024;
/** Of one value, whatever it was put together from. */
export const valueBytesMax = 64 * 1024;
/** Files that one reading of a configuration opens, sourced ones among them. */
export const filesMax = 256;
/** Commands that are run for one file, with what it sources. */
export const commandsMax = 100_000;
/** How deep commands, expansions and parentheses stand in each other. */
export const nestingMax = 50;
/** How deep files source each other, and `eval` nests. */
export const sourcingMax = 10;
/** Of a pattern such as that of `${NAME%PATTERN}`. */
export const patternElementsMax = 256;
/** Bytes that are expanded for one file in all: what is doubled on each line ends here. */
export const expandedBytesMax = 16 * 1024 * 1024;
/** Commands joined by && and ||. */
export const joinedMax = 500;
/** Lines of one file that are told as wrong; behind them nothing is read. */
export const problemsMax = 200;
/** Places of a text that a pattern is tried at, times the places of the pattern, for one file in all. */
export const patternStepsMax = 4 * 1024 * 1024;
