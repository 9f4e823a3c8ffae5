import type { LinePlace, LineProblem } from './shell/state.js';

/** Where a value comes from: a line of a file, or the command line. */
export type Origin = LinePlace | { readonly option: '--set' };

/** A value that something else stands in the place of. */
export interface Overridden {
  readonly value: string;
  readonly origin: Origin;
}

/** A named value, as text, with `@fqrn@` and `@org@` replaced. */
export interface Setting {
  readonly name: string;
  /** Empty where it is not known. */
  readonly value: string;
  readonly origin: Origin;
  /** What it stands in the place of, the last one first. */
  readonly overrode: readonly Overridden[];
  /** Why it is not known: it counts as not set. */
  readonly unknown?: LineProblem;
}

/** What the files of a site say for one repository. */
export interface Configuration {
  /** Empty: what they say for all. */
  readonly fqrn: string;
  readonly settings: ReadonlyMap<string, Setting>;
  readonly problems: readonly LineProblem[];
  /** The files that were read, in that order; sourced ones are not among them. */
  readonly files: readonly string[];
  /** The config repository; empty: there is none. */
  readonly configRepository: string;
}
