import { quoted } from '../format/bytes.js';
import { isoTime } from '../format/time.js';
import { PinfsError } from '../format/errors.js';
import { parseHash, type ContentHash } from '../format/hash.js';
import { openGuarded, sqliteFault, type GuardRules } from './catalog/guarded-sqlite.js';
import type Database from 'better-sqlite3';

/** One named snapshot (docs/format.md, 7). */
export interface HistoryTag {
  readonly name: string;
  /** Root hash as it stands in the database; `rootHashOf` checks it. */
  readonly hash: string;
  readonly revision: number;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly channel: number;
  readonly description: string;
  /** Plain size of the root catalog; 0: not known. */
  readonly size: number;
  /** Empty: the default branch. */
  readonly branch: string;
}

/** The tags of a repository, newest first. */
export interface HistoryTags {
  readonly fqrn: string;
  readonly tags: readonly HistoryTag[];
}

const propertySql =
  'SELECT iif(octet_length(value)<=1024,CAST(value AS TEXT),NULL) FROM properties WHERE key=? LIMIT 1';

export const historyRules: GuardRules = {
  subject: 'tag database',
  notSqlite: 'HISTORY_MALFORMED',
  badSchema: 'HISTORY_MALFORMED',
  tables: {
    properties: 'required',
    tags: 'required',
    branches: 'optional',
    recycle_bin: 'optional',
  },
  indexed: { properties: [['key']] },
  queries: [{ sql: propertySql, by: ['key=?'] }],
};

// A repository that tags each publication, several an hour, for ten years.
// Bytes of a name; longer descriptions are left out.
const textBytesMax = 4096;
const hashBytesMax = 64;
const tagsMax = 100_000;

/**
 * Reads a history database from a file.
 * @throws PinfsError HISTORY_MALFORMED, HISTORY_NAME_MISMATCH (it belongs to another repository);
 *   an error of the file system as it is.
 */
export function openHistory(path: string, fqrn: string): HistoryTags {
  const { database, columns } = openGuarded(path, historyRules);
  try {
    checkProperties(database, fqrn);
    return { fqrn, tags: readTags(database, columns.get('tags') ?? new Set()) };
  } catch (error) {
    throw sqliteFault(error, historyRules);
  } finally {
    database.close();
  }
}

function malformed(what: string): never {
  throw new PinfsError('HISTORY_MALFORMED', `the tag database ${what}`);
}

function checkProperties(database: Database.Database, fqrn: string): void {
  const property = database.prepare(propertySql).pluck();
  const schema = property.get('schema');
  if (schema !== '1.0')
    malformed(`has the schema ${quoted(String(schema))}, which pinfs does not know`);
  const name = property.get('fqrn');
  if (typeof name !== 'string') malformed('does not say to which repository it belongs');
  if (name !== fqrn) {
    throw new PinfsError(
      'HISTORY_NAME_MISMATCH',
      `the tag database belongs to ${quoted(name)}, not to ${fqrn}`,
    );
  }
}

function readTags(database: Database.Database, columns: ReadonlySet<string>): HistoryTag[] {
  for (const name of ['name', 'hash', 'revision', 'timestamp', 'channel', 'description']) {
    if (!columns.has(name)) malformed(`lacks the column ${name} of table tags`);
  }
  // What is too long stands as what it can't be: no name, no hash, a branch that is not the default.
  const text = (name: string, limit: number, otherwise: string): string =>
    columns.has(name)
      ? `iif(octet_length(${name})<=${limit},CAST(${name} AS TEXT),iif(${name} IS NULL,NULL,${otherwise}))`
      : `''`;
  const integer = (name: string): string =>
    columns.has(name) ? `iif(typeof(${name})='integer',${name},NULL)` : '0';
  const rows = database
    .prepare(
      `SELECT ${text('name', textBytesMax, 'NULL')}, ${text('hash', hashBytesMax, `'x'`)}, ${integer('revision')}, ${integer('timestamp')},
         ${integer('channel')}, coalesce(substr(${text('description', textBytesMax, 'NULL')},1,1024),''), coalesce(${integer('size')},0), coalesce(${text('branch', textBytesMax, `'x'`)},'')
       FROM tags LIMIT ${tagsMax + 1}`,
    )
    .raw()
    .all() as (string | number | null)[][];
  if (rows.length > tagsMax) malformed('has too many tags');
  return rows.map(tagOfRow).sort((a, b) => b.timestamp - a.timestamp || b.revision - a.revision);
}

function tagOfRow(row: readonly (string | number | null)[]): HistoryTag {
  const [name, hash, revision, timestamp, channel, description, size, branch] = row;
  if (typeof name !== 'string' || name === '' || typeof hash !== 'string')
    malformed('has a tag without name or hash');
  if (!isCount(revision) || !isCount(timestamp)) {
    malformed(`has no valid revision or time for the tag ${quoted(name)}`);
  }
  return {
    name,
    hash,
    revision,
    timestamp,
    channel: isCount(channel) ? channel : 0,
    description: String(description ?? ''),
    size: isCount(size) ? size : 0,
    branch: String(branch ?? ''),
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/**
 * The tag with this name.
 * @throws PinfsError TAG_UNKNOWN, with the names that come nearest.
 */
export function tagByName(history: HistoryTags, name: string): HistoryTag {
  const found = history.tags.find((tag) => tag.name === name);
  if (found !== undefined) return found;
  const near = nearestNames(history, name);
  throw new PinfsError('TAG_UNKNOWN', `${history.fqrn} has no tag ${quoted(name)}`, {
    advice:
      history.tags.length === 0
        ? `It has no tags at all; pin by root hash instead.`
        : near.length > 0
          ? `Tags with names like it: ${near.join(', ')}. All of them: pinfs tags SOURCE.`
          : `No tag has a name like it. All of them: pinfs tags SOURCE.`,
  });
}

/**
 * The state of the repository at a moment: the tag of the default branch with the highest revision
 * whose time is not later.
 * @param time seconds since 1970.
 * @throws PinfsError DATE_TOO_EARLY
 */
export function tagByDate(history: HistoryTags, time: number): HistoryTag {
  const trunk = history.tags.filter((tag) => tag.branch === '');
  let found: HistoryTag | undefined;
  for (const tag of trunk) {
    if (tag.timestamp <= time && (found === undefined || tag.revision > found.revision))
      found = tag;
  }
  if (found !== undefined) return found;
  const oldest = trunk.at(-1);
  throw new PinfsError(
    'DATE_TOO_EARLY',
    `${history.fqrn} has no tag as early as ${isoTime(time)}`,
    oldest === undefined
      ? {}
      : {
          advice: `Its oldest tag is ${quoted(oldest.name)} of ${isoTime(oldest.timestamp)}.`,
        },
  );
}

/**
 * The root hash of a tag.
 * @throws PinfsError TAG_HASH_MALFORMED
 */
export function rootHashOf(tag: HistoryTag): ContentHash {
  const hash = parseHash(tag.hash);
  if (hash !== undefined) return hash;
  throw new PinfsError(
    'TAG_HASH_MALFORMED',
    `the root hash of the tag ${quoted(tag.name)} is malformed: ${quoted(tag.hash)}`,
  );
}

const nearestCount = 3;

/** Names that begin with what was given first, the newest first; then those that a typing error or two makes of it. */
function nearestNames(history: HistoryTags, name: string): string[] {
  // Comparing is quadratic in the length of names.
  const wanted = name.slice(0, 128).toLowerCase();
  const farthest = Math.min(4, Math.max(1, Math.floor(wanted.length / 3)));
  return history.tags
    .slice(0, 2000)
    .map((tag) => {
      const own = tag.name.slice(0, 128).toLowerCase();
      const isPrefix = own.startsWith(wanted) || (own.length > 2 && wanted.startsWith(own));
      return { tag, distance: isPrefix ? 0 : editDistance(wanted, own) };
    })
    .filter(({ distance }) => distance <= farthest)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, nearestCount)
    .map(({ tag }) => quoted(tag.name));
}

/** How many letters have to be put in, taken out or changed to make one text of the other. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    above = row;
  }
  return above[b.length] ?? 0;
}
