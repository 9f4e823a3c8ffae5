import { openGuarded } from '../../tree/catalog/guarded-sqlite.js';
import { historyRules, type HistoryTag } from '../../tree/history.js';
import Database from 'better-sqlite3';
import { printable, fromText } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import type { ContentHash } from '../../format/hash.js';
import { isoTime } from '../../format/time.js';
import { historySchema } from '../catalogs/catalog-schema.js';

/** The tag database of one revision. */
export interface History {
  /** Undefined: there was none. */
  readonly hash?: ContentHash;
  readonly tags: readonly HistoryTag[];
  readonly branches: readonly (readonly [string, string | null, number])[];
  readonly properties: ReadonlyMap<string, string>;
}

// Names that are no more, and the snapshot each had: a property for each, of which other programs know nothing.
const removedPrefix = 'pinfs.removed.';
const trunk = 'trunk';
const trunkPrevious = 'trunk-previous';

/** @throws PinfsError HISTORY_MALFORMED, HISTORY_NAME_MISMATCH */
export function historyOf(bytes: Buffer, fqrn: string): History {
  let db: Database.Database | undefined;
  try {
    db = openGuarded(bytes, historyRules).database;
    const properties = new Map(
      db.prepare('SELECT key, CAST(value AS TEXT) FROM properties').raw().all() as [
        string,
        string,
      ][],
    );
    if (properties.get('fqrn') !== fqrn)
      throw new PinfsError('HISTORY_NAME_MISMATCH', `the tag database is not that of ${fqrn}`);
    const revision = Number(properties.get('schema_revision') ?? 0);
    const size = revision >= 1 ? 'coalesce(size,0)' : '0';
    const branch = revision >= 3 ? "coalesce(branch,'')" : "''";
    const tags = db
      .prepare(
        `SELECT name, hash, revision, timestamp, channel, coalesce(description,'') AS description,
           ${size} AS size, ${branch} AS branch FROM tags ORDER BY name`,
      )
      .all() as HistoryTag[];
    const branches =
      revision < 3
        ? []
        : (db
            .prepare("SELECT branch, parent, initial_revision FROM branches WHERE branch<>''")
            .raw()
            .all() as [string, string | null, number][]);
    return { tags, branches, properties };
  } catch (thrown) {
    if (thrown instanceof PinfsError) throw thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw new PinfsError('HISTORY_MALFORMED', `the tag database can't be read: ${message}`, {
      cause: thrown,
    });
  } finally {
    db?.close();
  }
}

/** The bytes of a tag database; the same history gives the same ones. */
export function writeHistory(fqrn: string, history: History, previous?: ContentHash): Buffer {
  const db = new Database(':memory:');
  db.exec(historySchema);
  db.exec('BEGIN');
  const property = db.prepare('INSERT INTO properties VALUES (?, ?)');
  const properties = new Map([
    ['schema', '1.0'],
    ['schema_revision', '3'],
    ['fqrn', fqrn],
    ...(previous === undefined ? [] : ([['previous_revision', previous.text]] as const)),
    ...[...history.properties]
      .filter(([key]) => key.startsWith(removedPrefix))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  ]);
  for (const [key, value] of properties) property.run(key, value);
  const branch = db.prepare('INSERT INTO branches VALUES (?, ?, ?)');
  branch.run('', null, 0);
  for (const values of history.branches) branch.run(...values);
  const row = db.prepare('INSERT INTO tags VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  for (const tag of [...history.tags].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name, hash, revision, timestamp, channel, description, size } = tag;
    row.run(name, hash, revision, timestamp, channel, description, size, tag.branch);
  }
  db.exec('COMMIT');
  const bytes = db.serialize();
  db.close();
  return bytes;
}

/** A snapshot that is to be named. */
export interface TaggedRoot {
  readonly hash: string;
  readonly revision: number;
  readonly timestamp: number;
  readonly size: number;
}

/**
 * Gives a name to a snapshot. A name that it has already stays as it is.
 * @throws PinfsError TAG_REFUSED: another snapshot has the name, or had it.
 */
export function addTag(
  history: History,
  name: string,
  root: TaggedRoot,
  description: string,
): History {
  checkTagName(name);
  const there = history.tags.find((tag) => tag.name === name);
  if (there?.hash === root.hash) return history;
  const removed = history.properties.get(removedPrefix + name);
  if (there !== undefined || (removed !== undefined && removed !== root.hash)) {
    const when = there === undefined ? 'was once' : 'is';
    throw new PinfsError('TAG_REFUSED', `${shown(name)} ${when} the name of another snapshot`, {
      advice: 'Who pinned that name would be refused: take another one.',
    });
  }
  const properties = new Map(history.properties);
  properties.delete(removedPrefix + name);
  const tag = { name, ...root, channel: 0, description, branch: '' };
  return { ...history, tags: [...history.tags, tag], properties };
}

/** Takes a name away, and remembers whose it was. @throws PinfsError TAG_REFUSED, TAG_UNKNOWN */
export function removeTag(history: History, name: string): History {
  if (name === trunk || name === trunkPrevious)
    throw new PinfsError('TAG_REFUSED', `${name} is kept by the repository itself`);
  const there = history.tags.find((tag) => tag.name === name);
  if (there === undefined)
    throw new PinfsError('TAG_UNKNOWN', `there is no tag ${shown(name)}`, {
      advice: 'See all of them with: pinfs repo tag list',
    });
  const properties = new Map(history.properties).set(removedPrefix + name, there.hash);
  return { ...history, tags: history.tags.filter((tag) => tag !== there), properties };
}

/** The names of the newest revision and of the one before, moved on. */
export function moveTrunk(history: History, root: TaggedRoot): History {
  const before = history.tags.find(({ name }) => name === trunk);
  const others = history.tags.filter(({ name }) => name !== trunk && name !== trunkPrevious);
  const previous =
    before === undefined
      ? []
      : [{ ...before, name: trunkPrevious, description: 'default undo target' }];
  const now = { name: trunk, ...root, channel: 0, description: 'current HEAD', branch: '' };
  return { ...history, tags: [...others, ...previous, now] };
}

/** The name that a revision gets where none is given, as the reference makes it; one that is free. */
export function genericTagName(history: History, time: number): string {
  const names = new Set(history.tags.map(({ name }) => name));
  const at = isoTime(time);
  const isTaken = (name: string): boolean =>
    names.has(name) || history.properties.has(removedPrefix + name);
  let name = `generic-${at}`;
  for (let number = 1; isTaken(name); number++) name = `generic_${number}-${at}`;
  return name;
}

/** @throws PinfsError TAG_REFUSED */
function checkTagName(name: string): void {
  if (name === trunk || name === trunkPrevious)
    throw new PinfsError('TAG_REFUSED', `${name} is kept by the repository itself`);
  if (!/^[A-Za-z0-9_./:-]{1,255}$/.test(name)) {
    const advice = 'Take letters, digits and - _ . / : only, at most 255.';
    throw new PinfsError('TAG_REFUSED', `${shown(name)} can't be the name of a tag`, { advice });
  }
}

function shown(name: string): string {
  return printable(fromText(name.slice(0, 255)));
}
