/**
 * What is known of an option, as plain data. Each option of the command line is declared once, as a row of a
 * table; from the rows are made: the types of the library, the parser, the form of mount(8), what the
 * background process gets, the manual, and the completions for shells.
 */

/** What a value is, in the form in which the library takes it. */
export interface KindValues {
  readonly flag: boolean;
  readonly text: string;
  /** A file or a directory. */
  readonly path: string;
  readonly directory: string;
  /** A URL or a directory. */
  readonly place: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes, or `off`, which is 0. */
  readonly sizeOrOff: number;
  /** Milliseconds; on the command line they are seconds. */
  readonly seconds: number;
  readonly gid: number;
  /** With a parser of its own. */
  readonly number: number;
  /** One of `choices`. */
  readonly choice: string | number;
}

export type OptionKind = keyof KindValues;

/** Headings of the help. */
export type OptionGroup =
  'Trust' | 'Cache' | 'Network' | 'Site' | 'Access' | 'Log and metrics' | 'Study' | 'General';

export interface OptionRow {
  readonly flag: `--${string}` | '-o';
  readonly short?: `-${string}`;
  readonly kind: OptionKind;
  /** What the help shows in place of a value. Every kind but `flag` has it. */
  readonly value?: string;
  readonly choices?: readonly (string | number)[];
  /** Offered by shells; others are taken as well. */
  readonly suggestions?: readonly string[];
  /** May be given again: the value is a list, empty where it is not given. */
  readonly repeatable?: true;
  /** The command does nothing without it. */
  readonly required?: true;
  /** Stands there where nothing is given. */
  readonly default?: string | number | boolean;
  /** Means the same as nothing, and is left out. */
  readonly usual?: string | number;
  /** Words for what stands there where nothing is given and no value says it. */
  readonly otherwise?: string;
  /** Line of the help. */
  readonly help: string;
  /**
   * Text of the manual, where the line of the help does not do: `literal` and <placeholder> are marked, an
   * empty line begins a new paragraph.
   */
  readonly manual?: string | undefined;
  /** Name for mount(8), where that is not the flag with underscores; false: it has none. */
  readonly fstab?: string | false;
  /**
   * The variable of the environment that stands for it where the command line has nothing; of one that may be given
   * again, the values stand between colons.
   */
  readonly environment?: `PINFS_${string}`;
  /** The commands that have it, where that is not each one that has the others of its table. */
  readonly on?: readonly string[];
  /** Of which other one it is the contrary. */
  readonly conflicts?: string;
  /** Shown nowhere: it is taken to say what to do instead. */
  readonly hidden?: true;
  /** Under which heading the help has it; without one it stands with the command's own. */
  readonly group?: OptionGroup;
  /** What its file is for a mount, which uses it as long as it lives: nothing is mounted over it. */
  readonly inUse?: string;
}

/** By the name that the option has in the library. */
export type OptionRows = Readonly<Record<string, OptionRow>>;

type OneValue<Row extends OptionRow> = Row extends { readonly choices: readonly (infer Choice)[] }
  ? Choice
  : KindValues[Row['kind']];

/** What a row's option is for the library. */
export type ValueOf<Row extends OptionRow> = Row extends { readonly repeatable: true }
  ? readonly OneValue<Row>[]
  : OneValue<Row>;

type AlwaysThere = { readonly default: unknown } | { readonly required: true };

/** What the options of a table are for the library: those with a default are always there. */
export type OptionValues<Rows extends OptionRows> = {
  readonly [Name in keyof Rows as Rows[Name] extends AlwaysThere ? Name : never]: ValueOf<
    Rows[Name]
  >;
} & {
  readonly [Name in keyof Rows as Rows[Name] extends AlwaysThere ? never : Name]?: ValueOf<
    Rows[Name]
  >;
};
