import type Database from 'better-sqlite3';
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

/** What a catalog says of itself and is not so, in words. Counters that an old one does not have are passed over. */
export function wrongCounters(db: Database.Database): string[] {
  const said = new Map(
    db.prepare('SELECT counter, value FROM statistics').raw().all() as [string, number][],
  );
  return Object.entries(queries).flatMap(([name, query]) => {
    const value = said.get(`self_${name}`);
    if (value === undefined) return [];
    const found = db.prepare(query).pluck().get() as number;
    return value === found ? [] : [`its counter ${name} says ${value}, and it has ${found}`];
  });
}
