import { existsSync, readFileSync } from 'node:fs';
import { genuine } from './genuine.js';

export interface DamagedOperation {
  readonly op: 'mount' | 'read' | 'list' | 'stat' | 'readlink' | 'xattr';
  readonly path?: string;
}

export type DamageClass =
  | 'accepted'
  | 'refused-by-trust'
  | 'missing-object'
  | 'damaged-object'
  | 'damaged-catalog'
  | 'safe-handling';

/** One case of damaged/cases.json; the README of the genuine data says what the fields mean. */
export interface DamagedCase {
  readonly name: string;
  readonly wrong: string;
  readonly show: readonly DamagedOperation[];
  readonly expect: DamageClass;
  readonly still_works?: readonly string[];
  readonly removed?: readonly string[];
  readonly changed?: readonly string[];
  readonly tag?: string;
  readonly first?: string;
  readonly blacklist?: string;
}

export const damagedFqrn = 'damaged.example.org';

/** The cases; none where the genuine data is not there. */
export function damagedCases(): readonly DamagedCase[] {
  const file = genuine('damaged', 'cases.json');
  if (!existsSync(file)) return [];
  return (JSON.parse(readFileSync(file, 'utf8')) as { cases: DamagedCase[] }).cases;
}

/** A file of a case, by its path in the repository: its own, none where removed, else that of the base. */
export function damagedFile(
  { name, changed = [], removed = [] }: Pick<DamagedCase, 'name' | 'changed' | 'removed'>,
  path: string,
): Buffer | undefined {
  if (removed.includes(path)) return undefined;
  const directory = changed.includes(path) ? name : 'base';
  const file = genuine('damaged', directory, damagedFqrn, path);
  return existsSync(file) ? readFileSync(file) : undefined;
}
