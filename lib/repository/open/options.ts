import type { OptionValues } from '../../options/option.js';
import type { sourceOptionTable } from '../../options/source-options.js';

/**
 * How to open SOURCE[@PIN]. Everything but the source has a default. Plain data, so that a daemon can be
 * handed it. Made from the table of options, where a new one goes.
 */
export interface OpenOptions extends OptionValues<typeof sourceOptionTable> {
  /** `SOURCE[@PIN]` as on the command line. */
  readonly source: string;
}
