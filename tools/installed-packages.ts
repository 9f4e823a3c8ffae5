import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface InstalledPackage {
  readonly name: string;
  /** From the checkout: `node_modules/…`. */
  readonly path: string;
}

interface PackageFile {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * Each package that this one loads when it is used, as Node finds them. `without` leaves out a branch; of `leaves`, what
 * they depend on is not looked at.
 */
export function packagesOf(
  checkout: string,
  without: ReadonlySet<string>,
  leaves: ReadonlySet<string>,
): InstalledPackage[] {
  const found = new Map<string, InstalledPackage>();
  const pending = [''];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    for (const name of namesIn(join(checkout, path, 'package.json'))) {
      const there = without.has(name) ? undefined : placeOf(checkout, path, name);
      if (there === undefined || found.has(there)) continue;
      found.set(there, { name, path: there });
      if (!leaves.has(name)) pending.push(there);
    }
  }
  return [...found.values()];
}

function namesIn(file: string): string[] {
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
    readFileSync(file, 'utf8'),
  ) as PackageFile;
  return [...Object.keys(dependencies), ...Object.keys(optionalDependencies)];
}

/** The nearest one above; undefined: an optional one that is not for this machine. */
function placeOf(checkout: string, from: string, name: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder === '.' ? '' : folder, 'node_modules', name);
    if (existsSync(join(checkout, path, 'package.json'))) return path;
    if (folder === '' || folder === '.') return undefined;
  }
}
