import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { quoted } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { parseHash } from '../../format/hash.js';
import { isRepositoryName } from '../../format/names.js';
import { keyScope, type SeenEvidence, type SeenHead, type SeenTag } from './seen-facts.js';
import { readStateFields } from './state-format.js';
import { decodeEvidence, decodeHead, decodeTag, encodeEvidence, encodeState } from './seen-json.js';
import {
  listState,
  makeStateDirectory,
  readState,
  removeState,
  isOfFullDisk,
  sweepState,
  timeOfState,
  stateUnusable,
  writeState,
} from './state-files.js';
import type { Verdict } from '../verdict/verdict.js';

export interface SeenRepository {
  readonly head: SeenHead | undefined;
  /** By name. */
  readonly tags: ReadonlyMap<string, SeenTag>;
}

/** Whether what was believed with this verdict is believed by who asks now. */
export type Counts = (verdict: Verdict) => boolean;

/**
 * What this machine saw of repositories: the memory that rollback protection, moved tags and
 * mounting offline need, as far as it counts for who asks. Every call reads the files anew, since other processes write them too.
 * All throw PinfsError STATE_UNUSABLE, for files that are damaged as well: taking them for absent
 * would switch the protection off in silence.
 */
export interface Seen {
  /** undefined if nothing is known. */
  get(fqrn: string): SeenRepository | undefined;
  /** The evidence with which the head with this root hash was verified, of every key scope; damaged counts as none. */
  evidence(fqrn: string, rootHash: string): SeenEvidence[];
  /** The root hashes of all that evidence was kept for, whoever believed it. */
  roots(fqrn: string): string[];
  /** Keeps a head that was verified, unless a higher one of its key scope is known. @throws PinfsError REVISION_CHANGED */
  recordHead(fqrn: string, head: SeenHead): void;
  /** Keeps what a tag is. @throws PinfsError TAG_MOVED if it was something else before. */
  recordTag(fqrn: string, tag: SeenTag): void;
  /** Keeps the newest evidence of the verdict's key scope. */
  recordEvidence(fqrn: string, rootHash: string, evidence: SeenEvidence, verdict: Verdict): void;
  /** Removes all that is known; false if nothing was. */
  forget(fqrn: string): boolean;
}

/** A head that is followed for years leaves evidence for each revision: the newest are kept. */
const evidenceKeptMax = 200;
const attemptsMax = 10;

/**
 * Opens the memory in a state directory, which is made when something is recorded first. Where its disk is full what is new
 * is not remembered, and `report` is told: it was verified all the same, and what is known already goes on to protect.
 * So it is where a later version of pinfs has written: what it knows is read as far as we know it, and left as it is.
 *
 * Each fact is a file of its own, and a head's file is named after its key scope, revision and time: the
 * highest name wins, so that of two processes that write at once none can set the other one back.
 */
export function openSeen(
  directory: string,
  counts: Counts,
  report: (error: PinfsError) => void = () => undefined,
): Seen {
  const folder = (fqrn: string): string => {
    if (!isRepositoryName(fqrn)) {
      throw new PinfsError('USAGE', `${JSON.stringify(fqrn)} is not the name of a repository`);
    }
    return join(directory, 'seen', fqrn);
  };
  const unlessFull = (record: () => void): void => {
    try {
      record();
    } catch (thrown) {
      if (!(thrown instanceof PinfsError) || !isOfFullDisk(thrown)) throw thrown;
      report(thrown);
    }
  };
  const made = (fqrn: string): string => {
    makeStateDirectory(directory);
    makeStateDirectory(join(directory, 'seen'));
    makeStateDirectory(folder(fqrn));
    return folder(fqrn);
  };
  const mayWrite: MayWrite = (path) => {
    if (!isOfLaterVersion(path)) return true;
    report(
      stateUnusable(path, laterVersion, undefined, `use that version of pinfs, or ${elsewhere}`),
    );
    return false;
  };
  return {
    get(fqrn) {
      listState(directory);
      const head = highest(readHeads(folder(fqrn), fqrn).filter((one) => counts(one.verdict)));
      const tags = byName(readTags(folder(fqrn), fqrn).filter((one) => counts(one.verdict)));
      return head === undefined && tags.size === 0 ? undefined : { head, tags };
    },
    evidence(fqrn, rootHash) {
      const path = folder(fqrn);
      const tail = evidenceTail(rootHash);
      return evidenceNames(path)
        .filter((name) => name.endsWith(tail))
        .map((name) => decodeEvidence(readState(join(path, name)) ?? Buffer.alloc(0)))
        .filter((one) => one !== undefined);
    },
    roots: (fqrn) => evidenceRoots(folder(fqrn)),
    recordHead(fqrn, head) {
      unlessFull(() => recordHead(made(fqrn), fqrn, head, mayWrite));
    },
    recordTag(fqrn, tag) {
      unlessFull(() => recordTag(made(fqrn), fqrn, tag, { counts, mayWrite }));
    },
    recordEvidence(fqrn, rootHash, evidence, verdict) {
      unlessFull(() => {
        const path = made(fqrn);
        if (!mayWrite(path)) return;
        const file = join(path, `evidence-${keyScope(verdict)}${evidenceTail(rootHash)}`);
        const isKnown = decodeEvidence(readState(file) ?? Buffer.alloc(0)) !== undefined;
        writeOrKeep(isKnown, () => writeState(file, encodeEvidence(evidence), { replace: true }));
        sweepState(path, superfluousEvidence(path, fqrn));
      });
    },
    forget(fqrn) {
      return removeState(folder(fqrn));
    },
  };
}

/** Whether what is known of a repository may be changed; where not, it was reported. */
type MayWrite = (path: string) => boolean;

const laterVersion = 'was written by a later version of pinfs: it is read, and nothing is changed';
const elsewhere = 'another place with --cache DIR';

/** Whether a head or tag in this folder has a later format than ours. */
function isOfLaterVersion(path: string): boolean {
  return listState(path)
    .filter((name) => /^(head|tag|evidence)-/.test(name))
    .some((name) => {
      const bytes = readState(join(path, name));
      return bytes !== undefined && readStateFields(bytes)?.isNewer === true;
    });
}

interface HeadName {
  readonly name: string;
  readonly keyScope: string;
  readonly revision: number;
  readonly published: number;
}

/** Highest first. */
function headNames(path: string, fqrn: string): HeadName[] {
  return listState(path)
    .filter((name) => name.startsWith('head-'))
    .map((name) => {
      const match = /^head-([0-9a-f]{32})-([0-9]{1,16})-([0-9]{1,16})\.json$/.exec(name);
      if (match === null) throw damaged(join(path, name), fqrn);
      const [, keyScope = '', revision, published] = match;
      return { name, keyScope, revision: Number(revision), published: Number(published) };
    })
    .sort(lowerFirst)
    .reverse();
}

function lowerFirst(
  a: { readonly revision: number; readonly published: number },
  b: { readonly revision: number; readonly published: number },
): number {
  return a.revision - b.revision || a.published - b.published;
}

function highest(heads: readonly SeenHead[]): SeenHead | undefined {
  return [...heads].sort(lowerFirst).at(-1);
}

/** The highest head of each key scope. */
function readHeads(path: string, fqrn: string): SeenHead[] {
  // A file that vanishes after it was listed gave way to a higher one, so look again.
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const names = new Map(
      headNames(path, fqrn)
        .reverse()
        .map((one) => [one.keyScope, one]),
    );
    const heads = [...names.values()].map((name) => readHead(path, fqrn, name));
    const found = heads.filter((head) => head !== undefined);
    if (found.length === heads.length) return found;
  }
  throw stateUnusable(path, 'is being changed all the time');
}

function readHead(path: string, fqrn: string, expected: HeadName): SeenHead | undefined {
  const file = join(path, expected.name);
  const bytes = readState(file);
  if (bytes === undefined) return undefined;
  const { value: head, isNewer } = decodeHead(bytes);
  if (
    head?.revision !== expected.revision ||
    head.published !== expected.published ||
    keyScope(head.verdict) !== expected.keyScope
  ) {
    throw isNewer ? unreadable(file, fqrn) : damaged(file, fqrn);
  }
  return head;
}

function recordHead(path: string, fqrn: string, head: SeenHead, mayWrite: MayWrite): void {
  const own = keyScope(head.verdict);
  const known = readHeads(path, fqrn).find(({ verdict }) => keyScope(verdict) === own);
  if (known !== undefined) {
    if (known.revision > head.revision) return;
    if (known.revision === head.revision) {
      if (known.rootHash !== head.rootHash) {
        throw new PinfsError(
          'REVISION_CHANGED',
          `revision ${head.revision} of ${fqrn} has the root hash ${head.rootHash}, and had ${known.rootHash} before`,
          {
            advice: `ask the publisher which is right; \`pinfs forget ${fqrn}\` accepts the new one`,
          },
        );
      }
      if (known.published > head.published) return;
    }
  }
  if (!mayWrite(path)) return;
  const name = `head-${own}-${head.revision}-${head.published}.json`;
  const isKnown = known?.rootHash === head.rootHash && known.revision === head.revision;
  writeOrKeep(isKnown, () => writeState(join(path, name), encodeState(head), { replace: true }));
  // What is lower than the highest one goes, be it this one: whoever removes the highest saw a higher one.
  const names = headNames(path, fqrn).filter((one) => one.keyScope === own);
  sweepState(
    path,
    names.slice(1).map((one) => one.name),
  );
}

/** Writes; a fact that is known already is not lost where nothing can be written, as on a full disk. */
function writeOrKeep(isKnown: boolean, write: () => unknown): void {
  try {
    write();
  } catch (error) {
    if (!isKnown || !(error instanceof PinfsError)) throw error;
  }
}

/** Tag names are any text, so their files are named after a hash. */
function tagFile(tag: SeenTag): string {
  const hash = createHash('sha256')
    .update(`${keyScope(tag.verdict)} ${tag.name}`)
    .digest('hex');
  return `tag-${hash}.json`;
}

function readTags(path: string, fqrn: string): SeenTag[] {
  return listState(path)
    .filter((name) => /^tag-[0-9a-f]{64}\.json$/.test(name))
    .map((name) => readTag(path, name, fqrn))
    .filter((tag) => tag !== undefined);
}

function readTag(path: string, name: string, fqrn: string): SeenTag | undefined {
  const file = join(path, name);
  const bytes = readState(file);
  if (bytes === undefined) return undefined;
  const { value: tag, isNewer } = decodeTag(bytes);
  if (tag !== undefined && tagFile(tag) === name) return tag;
  throw isNewer ? unreadable(file, fqrn) : damaged(file, fqrn);
}

/** One of each name: the newest for those that move, of which several key scopes may know another. */
function byName(tags: readonly SeenTag[]): Map<string, SeenTag> {
  const newestLast = [...tags].sort((a, b) => a.revision - b.revision);
  return new Map(newestLast.map((tag) => [tag.name, tag]));
}

/** These two are moved by the server with every revision; all others are promises. */
const moving: ReadonlySet<string> = new Set(['trunk', 'trunk-previous']);

/** Whether a tag is one that moves with every revision, so that an older history has another answer. */
export function isMovingTag(name: string): boolean {
  return moving.has(name);
}

function recordTag(
  path: string,
  fqrn: string,
  tag: SeenTag,
  { counts, mayWrite }: { readonly counts: Counts; readonly mayWrite: MayWrite },
): void {
  const name = tagFile(tag);
  const others = readTags(path, fqrn).filter((one) => one.name === tag.name && counts(one.verdict));
  checkMoved(fqrn, others, tag);
  if (!mayWrite(path)) return;
  const write = (replace: boolean) => writeState(join(path, name), encodeState(tag), { replace });
  const before = readTag(path, name, fqrn);
  // The link that makes a new file decides between two processes that come at once.
  if (before === undefined && write(false)) return;
  const known = before ?? readTag(path, name, fqrn);
  if (known !== undefined) checkMoved(fqrn, [known], tag);
  writeOrKeep(known?.rootHash === tag.rootHash, () => write(true));
}

/** @throws PinfsError TAG_MOVED */
function checkMoved(fqrn: string, known: readonly SeenTag[], tag: SeenTag): void {
  const other = known.find(({ rootHash }) => rootHash !== tag.rootHash);
  if (other !== undefined && !isMovingTag(tag.name)) throw tagMoved(fqrn, other, tag.rootHash);
}

/** The error for a tag that now names another root hash than the one known. */
function tagMoved(fqrn: string, known: SeenTag, rootHash: string): PinfsError {
  return new PinfsError(
    'TAG_MOVED',
    `the tag ${quoted(known.name)} of ${fqrn} now names ${rootHash}, and named ${known.rootHash} before`,
    {
      advice: `ask the publisher why; pin by root hash (@${known.rootHash}), or \`pinfs forget ${fqrn}\``,
    },
  );
}

function evidenceNames(path: string): string[] {
  return listState(path).filter((name) => /^evidence-[0-9a-f]{32}-/.test(name));
}

function evidenceRoots(path: string): string[] {
  const hashes = evidenceNames(path).map((name) => evidenceRoot.exec(name)?.[1] ?? '');
  return [...new Set(hashes)].filter((hash) => parseHash(hash) !== undefined);
}

const evidenceRoot = /^evidence-[0-9a-f]{32}-(.+)\.json$/;

/** The end of the name of every evidence of a root hash. */
function evidenceTail(rootHash: string): string {
  if (parseHash(rootHash) === undefined) {
    throw new PinfsError('INTERNAL', `${JSON.stringify(rootHash)} is not a root hash`);
  }
  return `-${rootHash}.json`;
}

/** The oldest files of evidence beyond the number that is kept; those of tags and head stay. */
function superfluousEvidence(path: string, fqrn: string): string[] {
  const names = evidenceNames(path);
  if (names.length <= evidenceKeptMax) return [];
  const facts = [...readTags(path, fqrn), ...readHeads(path, fqrn)];
  const held = new Set(
    facts.map(({ rootHash, verdict }) => `evidence-${keyScope(verdict)}${evidenceTail(rootHash)}`),
  );
  return names
    .filter((name) => !held.has(name))
    .map((name) => ({ name, time: timeOfState(join(path, name)) }))
    .sort((a, b) => (b.time ?? 0) - (a.time ?? 0))
    .slice(evidenceKeptMax)
    .map(({ name }) => name);
}

function damaged(file: string, fqrn: string): PinfsError {
  return stateUnusable(
    file,
    'is damaged, or was written by another version of pinfs; without it an older revision could not be told',
    undefined,
    `\`pinfs forget ${fqrn}\` starts afresh: the next head is then believed whatever its revision`,
  );
}

/** Not taken for absent, as what is damaged is not. */
function unreadable(file: string, fqrn: string): PinfsError {
  return stateUnusable(
    file,
    'was written by a later version of pinfs, and this one can not read it',
    undefined,
    `use that version, or ${elsewhere}; \`pinfs forget ${fqrn}\` starts afresh: the next head is then believed whatever its revision`,
  );
}
