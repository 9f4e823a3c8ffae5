import type Database from 'better-sqlite3';
import { counterNames } from '../../format/catalog-row.js';
import { flag } from '../catalogs/catalog-schema.js';

const isFile = `flags & ${flag.file} <> 0 AND flags & ${flag.symlink | flag.special} = 0`;
const sizeWhere = (condition: string): string =>
  `SELECT coalesce(sum(size),0) FROM catalog WHERE ${condition}`;
const countWhere = (condition: string): string => `SELECT count(*) FROM catalog WHERE ${condition}`;

/** What each counter of a catalog itself has to be (docs/format.md, 5.14). */
const queries = {
  regular: countWhere(isFile),
  symlink: countWhere(`flags & ${flag.symlink} <> 0`),
  special: countWhere(`flags & ${flag.special} <> 0`),
  nested: 'SELECT count(*) FROM nested_catalogs',
  chunked: countWhere(`flags & ${flag.chunked} <> 0`),
  chunks: 'SELECT count(*) FROM chunks',
  file_size: sizeWhere(isFile),
  chunked_size: sizeWhere(`flags & ${flag.chunked} <> 0`),
  external: countWhere(`flags & ${flag.external} <> 0`),
} as const;

/** What a catalog counts; an old one has not all of them. */
export type SaidCounters = ReadonlyMap<string, number>;

export function saidCounters(db: Database.Database): SaidCounters {
  const rows = db.prepare('SELECT counter, value FROM statistics').raw().all();
  return new Map(rows as [string, number][]);
}

/** What a catalog says of itself and is not so, in words. Counters that an old one does not have are passed over. */
export function wrongCounters(db: Database.Database, said: SaidCounters): string[] {
  return Object.entries(queries).flatMap(([name, query]) => {
    const value = said.get(`self_${name}`);
    if (value === undefined) return [];
    const found = db.prepare(query).pluck().get() as number;
    return value === found ? [] : [`its counter ${name} says ${value}, and it has ${found}`];
  });
}

/** What a catalog says of those below it, and is not the sum of what these say. */
export function wrongSubtree(said: SaidCounters, below: readonly SaidCounters[]): string[] {
  return counterNames.flatMap((name) => {
    const value = said.get(`subtree_${name}`);
    const parts = below.flatMap((one) => [one.get(`self_${name}`), one.get(`subtree_${name}`)]);
    if (value === undefined || parts.includes(undefined)) return [];
    const found = parts.reduce<number>((sum, part) => sum + (part ?? 0), 0);
    if (value === found) return [];
    return [`its counter ${name} of what is below says ${value}, and that has ${found}`];
  });
}
