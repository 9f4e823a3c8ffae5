import Database from 'better-sqlite3';
import { PinfsError } from '../../format/errors.js';
import { parseHash, type ObjectKind, type ObjectName } from '../../format/hash.js';

/** The roots that a reflog lists, by kind. */
export type ReflogKind = Extract<ObjectKind, 'catalog' | 'certificate' | 'history' | 'metainfo'>;

const types: Readonly<Record<ReflogKind, number>> = {
  catalog: 0,
  certificate: 1,
  history: 2,
  metainfo: 3,
};

const reflogKinds = ['catalog', 'certificate', 'history', 'metainfo'] as const;

export interface ReflogEntry {
  readonly kind: ReflogKind;
  /** Text of its hash. */
  readonly hash: string;
}

interface Reference {
  readonly hash: string;
  readonly type: number;
  readonly timestamp: number;
}

/**
 * The bytes of a reflog with more entries; those that it has keep their time.
 * @param before undefined: there was none.
 * @throws PinfsError REFLOG_MALFORMED
 */
export function extendReflog(
  before: Buffer | undefined,
  fqrn: string,
  entries: readonly ReflogEntry[],
  time: number,
): Buffer {
  const references = before === undefined ? [] : readReferences(before);
  const known = new Set(references.map(({ hash }) => hash));
  for (const { kind, hash } of entries) {
    if (known.has(hash)) continue;
    known.add(hash);
    references.push({ hash, type: types[kind], timestamp: time });
  }
  return reflogOf(fqrn, references);
}

/**
 * The bytes of a reflog without the roots that are gone; undefined: none is. What stands there and is no root stays.
 * @throws PinfsError REFLOG_MALFORMED
 */
export function pruneReflog(
  before: Buffer,
  fqrn: string,
  isThere: (object: ObjectName) => boolean,
): Buffer | undefined {
  const references = readReferences(before);
  const kept = references.filter((reference) => {
    const hash = parseHash(reference.hash);
    const kind = reflogKinds.find((one) => types[one] === reference.type);
    return hash === undefined || kind === undefined || isThere({ hash, kind });
  });
  return kept.length === references.length ? undefined : reflogOf(fqrn, kept);
}

function reflogOf(fqrn: string, references: readonly Reference[]): Buffer {
  const db = new Database(':memory:');
  db.exec(
    `CREATE TABLE properties (key TEXT, value TEXT, CONSTRAINT pk_properties PRIMARY KEY (key));
     CREATE TABLE refs (hash TEXT PRIMARY KEY, type INTEGER, timestamp INTEGER); BEGIN`,
  );
  const property = db.prepare('INSERT INTO properties VALUES (?, ?)');
  for (const pair of [
    ['schema', '1.0'],
    ['schema_revision', '0'],
    ['fqrn', fqrn],
  ])
    property.run(...pair);
  const row = db.prepare('INSERT INTO refs VALUES (?, ?, ?)');
  for (const { hash, type, timestamp } of references) row.run(hash, type, timestamp);
  db.exec('COMMIT');
  const bytes = db.serialize();
  db.close();
  return bytes;
}

function readReferences(bytes: Buffer): Reference[] {
  try {
    const db = new Database(bytes);
    try {
      db.pragma('trusted_schema=OFF');
      return db
        .prepare('SELECT hash, type, timestamp FROM refs ORDER BY rowid')
        .all() as Reference[];
    } finally {
      db.close();
    }
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw new PinfsError('REFLOG_MALFORMED', `.cvmfsreflog can't be read: ${message}`, {
      cause: thrown,
    });
  }
}
