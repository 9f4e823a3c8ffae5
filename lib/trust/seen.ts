import { createHash } from 'node:crypto';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { quoted } from '../format/bytes.js';
import { PinfsError } from '../format/errors.js';
import { parseHash } from '../format/hash.js';
import { isRepositoryName } from '../format/manifest.js';
import { decodeEvidence, decodeHead, decodeTag, encodeEvidence, encodeState } from './seen-json.js';
import {
  listState,
  makeStateDirectory,
  readState,
  sweepState,
  unusable,
  writeState,
} from './state-files.js';
import type { Verdict } from './verdict.js';

/** The highest head of a repository that was verified on this machine. */
export interface SeenHead {
  readonly revision: number;
  /** Manifest T, seconds since 1970; 0 if it had none. */
  readonly published: number;
  readonly rootHash: string;
  /** Bytes of the inflated root catalog, if known. */
  readonly rootSize: number | undefined;
  readonly historyHash: string | undefined;
  readonly verdict: Verdict;
}

/** A tag that was resolved by a verified history. */
export interface SeenTag {
  readonly name: string;
  readonly rootHash: string;
  readonly revision: number;
  readonly rootSize: number | undefined;
  readonly verdict: Verdict;
}

/** What a head was verified with, and when. */
export interface SeenEvidence {
  readonly manifest: Buffer;
  readonly whitelist: Buffer;
  /** The object as stored. */
  readonly certificate: Buffer;
  /** The moment as of which it was judged good, ISO 8601. */
  readonly verifiedAt: string;
}

export interface SeenRepository {
  readonly head: SeenHead | undefined;
  /** By name. */
  readonly tags: ReadonlyMap<string, SeenTag>;
}

/**
 * What this machine saw of repositories: the memory that rollback protection, moved tags and
 * mounting offline need. Every call reads the files anew, since other processes write them too.
 * All throw PinfsError STATE_UNUSABLE, for files that are damaged as well: taking them for absent
 * would switch the protection off in silence.
 */
export interface Seen {
  /** undefined if nothing is known. */
  get(fqrn: string): SeenRepository | undefined;
  /** The evidence with which the head with this root hash was verified; damaged counts as none. */
  evidence(fqrn: string, rootHash: string): SeenEvidence | undefined;
  /** Keeps a head that was verified, unless a higher one is known. @throws PinfsError REVISION_CHANGED */
  recordHead(fqrn: string, head: SeenHead): void;
  /** Keeps what a tag is. @throws PinfsError TAG_MOVED if it was something else before. */
  recordTag(fqrn: string, tag: SeenTag): void;
  recordEvidence(fqrn: string, rootHash: string, evidence: SeenEvidence): void;
  /** Removes all that is known; false if nothing was. */
  forget(fqrn: string): boolean;
}

/** A head that is followed for years leaves evidence for each revision: the newest are kept. */
const evidenceKept = 200;
const attempts = 10;

/**
 * Opens the memory in a state directory, which is made when something is recorded first.
 *
 * Each fact is a file of its own, and a head's file is named after revision and time: the highest
 * name wins, so that of two processes that write at once none can set the other one back.
 */
export function openSeen(directory: string): Seen {
  const folder = (fqrn: string): string => {
    if (!isRepositoryName(fqrn)) {
      throw new PinfsError('USAGE', `${JSON.stringify(fqrn)} is not the name of a repository`);
    }
    return join(directory, 'seen', fqrn);
  };
  const made = (fqrn: string): string => {
    makeStateDirectory(directory);
    makeStateDirectory(join(directory, 'seen'));
    makeStateDirectory(folder(fqrn));
    return folder(fqrn);
  };
  return {
    get(fqrn) {
      listState(directory);
      const head = readHead(folder(fqrn), fqrn);
      const tags = readTags(folder(fqrn), fqrn);
      return head === undefined && tags.size === 0 ? undefined : { head, tags };
    },
    evidence(fqrn, rootHash) {
      const bytes = readState(join(folder(fqrn), evidenceName(rootHash)));
      return bytes && decodeEvidence(bytes);
    },
    recordHead: (fqrn, head) => recordHead(made(fqrn), fqrn, head),
    recordTag: (fqrn, tag) => recordTag(made(fqrn), fqrn, tag),
    recordEvidence(fqrn, rootHash, evidence) {
      const path = made(fqrn);
      const file = join(path, evidenceName(rootHash));
      const isKnown = decodeEvidence(readState(file) ?? Buffer.alloc(0)) !== undefined;
      writeOrKeep(isKnown, () => writeState(file, encodeEvidence(evidence), { replace: true }));
      sweepState(path, superfluousEvidence(path, fqrn));
    },
    forget(fqrn) {
      const path = folder(fqrn);
      const known = statSync(path, { throwIfNoEntry: false }) !== undefined;
      try {
        rmSync(path, { recursive: true, force: true });
      } catch (cause) {
        throw unusable(path, 'cannot be removed', cause);
      }
      return known;
    },
  };
}

interface HeadName {
  readonly name: string;
  readonly revision: number;
  readonly published: number;
}

/** Highest first. */
function headNames(path: string): HeadName[] {
  return listState(path)
    .map((name) => ({ name, match: /^head-([0-9]{1,16})-([0-9]{1,16})\.json$/.exec(name) }))
    .filter(({ match }) => match !== null)
    .map(({ name, match }) => ({
      name,
      revision: Number(match?.[1]),
      published: Number(match?.[2]),
    }))
    .sort((a, b) => b.revision - a.revision || b.published - a.published);
}

function readHead(path: string, fqrn: string): SeenHead | undefined {
  // A file that vanishes after it was listed gave way to a higher one, so look again.
  for (let attempt = 0; attempt < attempts; attempt++) {
    const highest = headNames(path)[0];
    if (highest === undefined) return undefined;
    const file = join(path, highest.name);
    const bytes = readState(file);
    if (bytes === undefined) continue;
    const head = decodeHead(bytes);
    if (head?.revision !== highest.revision || head.published !== highest.published) {
      throw damaged(file, fqrn);
    }
    return head;
  }
  throw unusable(path, 'is being changed all the time');
}

function recordHead(path: string, fqrn: string, head: SeenHead): void {
  const known = readHead(path, fqrn);
  const surpassed = known !== undefined && lessSure(known.verdict, head.verdict);
  if (known !== undefined && !surpassed) {
    if (lessSure(head.verdict, known.verdict)) return;
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
  const name = `head-${head.revision}-${head.published}.json`;
  const isKnown = known?.rootHash === head.rootHash && known.revision === head.revision;
  writeOrKeep(isKnown, () => writeState(join(path, name), encodeState(head), { replace: true }));
  // What is lower than the highest one goes, be it this one: whoever removes the highest saw a higher one.
  const names = headNames(path).map((one) => one.name);
  sweepState(path, surpassed ? names.filter((one) => one !== name) : names.slice(1));
}

/** What was judged as of another day does not stand in the way of what was judged as of its own. */
function lessSure(one: Verdict, other: Verdict): boolean {
  return one.trustAtGiven && !other.trustAtGiven;
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
function tagName(tag: string): string {
  return `tag-${createHash('sha256').update(tag).digest('hex')}.json`;
}

function readTags(path: string, fqrn: string): Map<string, SeenTag> {
  const tags = new Map<string, SeenTag>();
  for (const name of listState(path)) {
    if (!/^tag-[0-9a-f]{64}\.json$/.test(name)) continue;
    const tag = readTag(join(path, name), fqrn);
    if (tag !== undefined) tags.set(tag.name, tag);
  }
  return tags;
}

function readTag(file: string, fqrn: string): SeenTag | undefined {
  const bytes = readState(file);
  if (bytes === undefined) return undefined;
  const tag = decodeTag(bytes);
  if (tag === undefined || !file.endsWith(tagName(tag.name))) throw damaged(file, fqrn);
  return tag;
}

/** These two are moved by the server with every revision; all others are promises. */
const moving = new Set(['trunk', 'trunk-previous']);

function recordTag(path: string, fqrn: string, tag: SeenTag): void {
  const file = join(path, tagName(tag.name));
  const before = readTag(file, fqrn);
  // The link that makes a new file decides between two processes that come at once.
  if (before === undefined && writeState(file, encodeState(tag), { replace: false })) return;
  const known = before ?? readTag(file, fqrn);
  const same = known?.rootHash === tag.rootHash;
  if (known !== undefined && !same && !moving.has(tag.name)) {
    throw tagMoved(fqrn, known, tag.rootHash);
  }
  if (same && lessSure(tag.verdict, known.verdict)) return;
  writeOrKeep(same, () => writeState(file, encodeState(tag), { replace: true }));
}

/** The error for a tag that now names another root hash than the one known. */
export function tagMoved(fqrn: string, known: SeenTag, rootHash: string): PinfsError {
  return new PinfsError(
    'TAG_MOVED',
    `the tag ${quoted(known.name)} of ${fqrn} now names ${rootHash}, and named ${known.rootHash} before`,
    {
      advice: `ask the publisher why; pin by root hash (@${known.rootHash}), or \`pinfs forget ${fqrn}\``,
    },
  );
}

function evidenceName(rootHash: string): string {
  if (parseHash(rootHash) === undefined) {
    throw new PinfsError('INTERNAL', `${JSON.stringify(rootHash)} is not a root hash`);
  }
  return `evidence-${rootHash}.json`;
}

/** The oldest files of evidence beyond the number that is kept; those of tags and head stay. */
function superfluousEvidence(path: string, fqrn: string): string[] {
  const names = listState(path).filter((name) => name.startsWith('evidence-'));
  if (names.length <= evidenceKept) return [];
  const held = new Set([...readTags(path, fqrn).values()].map((tag) => evidenceName(tag.rootHash)));
  const head = readHead(path, fqrn);
  if (head !== undefined) held.add(evidenceName(head.rootHash));
  return names
    .filter((name) => !held.has(name))
    .map((name) => ({ name, time: statSync(join(path, name), { throwIfNoEntry: false })?.mtimeMs }))
    .sort((a, b) => (b.time ?? 0) - (a.time ?? 0))
    .slice(evidenceKept)
    .map(({ name }) => name);
}

function damaged(file: string, fqrn: string): PinfsError {
  return unusable(
    file,
    'is damaged, or was written by a newer pinfs; without it an older revision could not be told',
    undefined,
    `\`pinfs forget ${fqrn}\` starts afresh: the next head is then believed whatever its revision`,
  );
}
