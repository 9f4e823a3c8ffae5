import type Database from 'better-sqlite3';
import { quoted } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { byPathHash, identitySql, lookups } from './catalog-sql.js';
import { checkPlans, type Columns, type GuardRules } from './guarded-sqlite.js';

/* What makes a database a catalog. */

/** Which of the schemas (docs/format.md, 5.2) a catalog has. */
export interface CatalogSchema {
  readonly text: string;
  /** Schema 0.9 or 1.x: no owners, links, chunks, statistics. */
  readonly legacy: boolean;
  /** Nested catalogs are listed without their hashes (0.9): they can't be followed. */
  readonly nestedWithoutHash: boolean;
}

export const catalogRules: Omit<GuardRules, 'subject'> = {
  notSqlite: 'CATALOG_NOT_SQLITE',
  badSchema: 'CATALOG_SCHEMA',
  tables: {
    catalog: 'required',
    properties: 'required',
    nested_catalogs: 'required',
    chunks: 'optional',
    statistics: 'optional',
    bind_mountpoints: 'optional',
  },
  indexed: {
    catalog: [
      ['md5path_1', 'md5path_2'],
      ['parent_1', 'parent_2'],
    ],
    chunks: [['md5path_1', 'md5path_2']],
    nested_catalogs: [['path']],
    bind_mountpoints: [['path']],
    properties: [['key']],
  },
  queries: [{ sql: identitySql, by: ['key=?', byPathHash] }],
};

const always = [
  'md5path_1',
  'md5path_2',
  'parent_1',
  'parent_2',
  'hash',
  'size',
  'mode',
  'mtime',
  'flags',
  'name',
  'symlink',
];
const modern = ['hardlinks', 'uid', 'gid'];

/**
 * The schema that a catalog says it has, if its tables have what belongs to it.
 * @throws PinfsError CATALOG_UNSUPPORTED, CATALOG_SCHEMA.
 */
export function readSchema(text: string, columns: Columns, rules: GuardRules): CatalogSchema {
  const version = /^\d{1,3}(\.\d{1,12})?$/.test(text) ? Number(text) : NaN;
  const near = (wanted: number): boolean => Math.abs(version - wanted) < 0.0005;
  const legacy = version >= 0.8995 && version < 1.9995;
  if (!legacy && !near(2.4) && !near(2.5)) {
    throw new PinfsError(
      'CATALOG_UNSUPPORTED',
      `the ${rules.subject} has the schema ${quoted(text)}, which pinfs does not know`,
      {
        advice:
          'Schemas 0.9 to 1.x, 2.4 and 2.5 are known; the others were never released or are newer.',
      },
    );
  }
  const nestedWithoutHash = columns.get('nested_catalogs')?.has('sha1') !== true;
  const schema = { text, legacy, nestedWithoutHash };
  requireColumns(columns, schema, rules);
  return schema;
}

function requireColumns(columns: Columns, schema: CatalogSchema, rules: GuardRules): void {
  const wanted: [string, readonly string[]][] = [
    ['catalog', schema.legacy ? always : [...always, ...modern]],
    ['nested_catalogs', schema.legacy ? ['path'] : ['path', 'sha1']],
    ['properties', ['key', 'value']],
  ];
  if (!schema.legacy) wanted.push(['chunks', ['md5path_1', 'md5path_2', 'offset', 'size', 'hash']]);
  if (columns.has('bind_mountpoints')) wanted.push(['bind_mountpoints', ['path', 'sha1']]);
  if (columns.has('statistics')) wanted.push(['statistics', ['counter', 'value']]);
  for (const [table, names] of wanted) {
    const missing = names.find((name) => columns.get(table)?.has(name) !== true);
    if (missing !== undefined) {
      throw new PinfsError(
        'CATALOG_SCHEMA',
        `the ${rules.subject} lacks the column ${missing} of table ${table}`,
      );
    }
  }
}

// Schemas whose queries were looked at.
const planned = new WeakSet<Columns>();

/** Looks at how SQLite would find what catalogs are asked for, once for each schema. @throws as `checkPlans`. */
export function holdPlans(database: Database.Database, columns: Columns, rules: GuardRules): void {
  if (!planned.has(columns)) checkPlans(database, lookups(columns), rules);
  planned.add(columns);
}

/** Whether that was found good. */
export function isPlanned(columns: Columns): boolean {
  return planned.has(columns);
}
