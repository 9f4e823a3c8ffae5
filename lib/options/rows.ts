import type { OptionKind, OptionRow, OptionRows, OptionValues } from './option.js';

/** What is given of the options of a table. A default stands where nothing is; what is usual is left out. */
export function valuesOf<Rows extends OptionRows>(
  rows: Rows,
  given: Partial<OptionValues<Rows>>,
): OptionValues<Rows> {
  const byName = new Map<string, unknown>(Object.entries(given));
  const values = Object.entries(rows).flatMap(([name, row]) => {
    const value = byName.get(name) ?? row.default;
    return value === undefined || value === row.usual ? [] : [[name, value] as const];
  });
  // Each value is of its row: it comes from where OptionValues was demanded.
  return Object.fromEntries(values) as OptionValues<Rows>;
}

const isPath: Readonly<Record<OptionKind, boolean>> = {
  flag: false,
  text: false,
  path: true,
  directory: true,
  place: true,
  size: false,
  sizeOrOff: false,
  seconds: false,
  gid: false,
  number: false,
  choice: false,
};

/** Whether its value names something in the file system. */
export function namesPath(row: OptionRow): boolean {
  return isPath[row.kind];
}

interface GivenPath {
  readonly row: OptionRow;
  readonly path: string;
}

/** Every path that is given in options of a table. */
export function pathsOf<Rows extends OptionRows>(
  rows: Rows,
  given: Partial<OptionValues<Rows>>,
): GivenPath[] {
  const byName = new Map<string, unknown>(Object.entries(given));
  return Object.entries(rows)
    .filter(([, row]) => namesPath(row))
    .flatMap(([name, row]) =>
      [byName.get(name)]
        .flat()
        .filter((path) => typeof path === 'string')
        .map((path) => ({ row, path })),
    );
}

/** The same options with each path as `change` makes it; it is told the flag, for what it has to say. */
export function withPaths<Rows extends OptionRows, Given extends Partial<OptionValues<Rows>>>(
  rows: Rows,
  given: Given,
  change: (flag: string, path: string) => string,
): Given {
  const changed = Object.entries<unknown>(given).map(([name, value]) => {
    const row = Object.hasOwn(rows, name) ? rows[name] : undefined;
    if (row === undefined || !namesPath(row)) return [name, value];
    const one = (path: unknown) => (typeof path === 'string' ? change(row.flag, path) : path);
    return [name, Array.isArray(value) ? value.map(one) : one(value)];
  });
  return Object.fromEntries(changed) as Given;
}

/** The name of an option for mount(8); undefined: it has none. */
export function fstabName({ flag, fstab }: OptionRow): string | undefined {
  if (fstab === false) return undefined;
  return fstab ?? flag.replace(/^--/, '').replaceAll('-', '_');
}

/** The options of a table that a command has; `otherwise`: whether it has those whose rows name no command. */
export function rowsOn(rows: OptionRows, command: string, otherwise = true): OptionRows {
  return Object.fromEntries(
    Object.entries(rows).filter(([, { on }]) => on?.includes(command) ?? otherwise),
  );
}
