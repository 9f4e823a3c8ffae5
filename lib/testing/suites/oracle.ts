import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBytes, printable, type ByteString } from '../../format/bytes.js';
import { expectedBytes, genuine, readExpected, type ExpectedEntry } from '../genuine.js';

/** What is shown of one path, by whatever way, in the form in which the oracle has it. */
export interface Shown {
  /** `/` is the root. */
  readonly path: ByteString;
  readonly type: string;
  /** Octal, without the type. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  /** As text: 64 bits. */
  readonly ino: string;
  /** `major:minor` of devices. */
  readonly rdev?: string;
  readonly target?: ByteString;
  readonly rawTarget?: ByteString;
  readonly sha256?: string;
  /** Name to base64; without the magic ones. */
  readonly xattrs?: Readonly<Record<string, string>>;
  /** It could be looked up, but its parent does not list it. */
  readonly unlisted?: boolean;
}

/** One snapshot of a genuine repository with its expected tree. */
export interface Snapshot {
  /** Name of the file below `expected/`, without `.jsonl`. */
  readonly name: string;
  /** The tag; undefined for the head. */
  readonly tag: string | undefined;
  readonly rootHash: string;
}

export interface GenuineRepository {
  /** Below the genuine directory, such as `legacy/schema-2.4`. */
  readonly folder: string;
  readonly fqrn: string;
  /** The directory with `.cvmfspublished`. */
  readonly directory: string;
  readonly key: string;
  readonly external: string | undefined;
  /** Those that have an expected tree. */
  readonly snapshots: readonly Snapshot[];
  /** All tags, trunk too. */
  readonly tags: readonly { readonly name: string; readonly root_hash: string }[];
}

/** Every genuine repository but the damaged and the production ones. */
export function genuineRepositories(): GenuineRepository[] {
  const folders = [
    'ships-with-project',
    'features-sha1',
    'features-rmd160',
    'features-shake128',
    'default-chunks',
    ...readdirSync(genuine('legacy')).map((name) => join('legacy', name)),
    ...readdirSync(genuine('variants')).map((name) => join('variants', name)),
  ];
  return folders.map(genuineRepository);
}

interface TagsFile {
  readonly fqrn: string;
  readonly head: { readonly root_hash: string };
  readonly tags?: readonly { readonly name: string; readonly root_hash: string }[];
}

export function genuineRepository(folder: string): GenuineRepository {
  const text = readFileSync(genuine(folder, 'expected', 'tags.json'), 'utf8');
  const { fqrn, head, tags = [] } = JSON.parse(text) as TagsFile;
  const external = genuine(folder, 'external-data', fqrn);
  const all: Snapshot[] = [
    { name: 'head', tag: undefined, rootHash: head.root_hash },
    ...tags.map(({ name, root_hash }) => ({
      name: name.replaceAll(':', '_'),
      tag: name,
      rootHash: root_hash,
    })),
  ];
  return {
    folder,
    fqrn,
    directory: genuine(folder, fqrn),
    key: genuine('keys', `${fqrn}.pub`),
    external: existsSync(external) ? external : undefined,
    snapshots: all.filter(({ name }) => existsSync(genuine(folder, 'expected', `${name}.jsonl`))),
    tags,
  };
}

/** Lines of an expected tree by path, in its order. */
export function expectedTree(folder: string, name: string): Map<ByteString, ExpectedEntry> {
  const lines = readExpected(folder, 'expected', `${name}.jsonl`);
  return new Map(lines.map((line) => [bytesOf(line.path, line.path_b64) ?? '', line]));
}

function bytesOf(text: string | undefined, base64: string | undefined): ByteString | undefined {
  const bytes = expectedBytes(text, base64);
  return bytes === undefined ? undefined : fromBytes(bytes);
}

/** What is unlike the oracle, one sentence each. Fields that `shown` does not have are left out. */
export function differences(
  shown: Iterable<Shown>,
  expected: ReadonlyMap<ByteString, ExpectedEntry>,
): string[] {
  const found: string[] = [];
  const seen = new Set<ByteString>();
  const groups = new Map<string, string>();
  for (const one of shown) {
    const say = (what: string): unknown => found.push(`${printable(one.path)}: ${what}`);
    const line = expected.get(one.path);
    if (seen.has(one.path)) say('shown twice');
    seen.add(one.path);
    if (line === undefined) {
      say('should not be there');
      continue;
    }
    for (const [field, got, wanted] of compared(one, line)) {
      if (got !== wanted) say(`${field} is ${String(got)} and not ${String(wanted)}`);
    }
    const group = bytesOf(line.hardlink_group, line.hardlink_group_b64) ?? one.path;
    for (const [key, value] of [
      [`inode ${one.ino}`, group],
      [`group ${group}`, one.ino],
    ] as const) {
      const other = groups.get(key) ?? value;
      if (other !== value) say(`${printable(key)} goes with ${printable(other)} too`);
      groups.set(key, value);
    }
  }
  for (const path of expected.keys()) {
    if (!seen.has(path)) found.push(`${printable(path)}: not there`);
  }
  return found;
}

function compared(one: Shown, line: ExpectedEntry): [string, unknown, unknown][] {
  const target = bytesOf(line.target, line.target_b64);
  const pairs: [string, unknown, unknown][] = [
    ['type', one.type, line.type],
    ['mode', one.mode, line.mode],
    ['uid', one.uid, line.uid],
    ['gid', one.gid, line.gid],
    ['size', one.size, line.size],
    ['nlink', one.nlink, line.nlink],
    ['mtime', one.mtime, line.mtime],
    ['mtime_ns', one.mtimeNs, line.mtime_ns ?? 0],
    ['rdev', one.rdev, line.rdev?.join(':')],
    ['target', one.target, target],
    ['sha256', one.sha256, line.sha256],
    ['xattrs', sortedJson(one.xattrs), sortedJson(line.xattrs)],
    // Of the entries marked hidden only this one is not listed (README of the genuine data).
    ['unlisted', one.unlisted ?? false, line.path === '/.cvmfs'],
  ];
  if (one.rawTarget !== undefined) {
    pairs.push([
      'raw target',
      one.rawTarget,
      bytesOf(line.raw_target, line.raw_target_b64) ?? target,
    ]);
  }
  return pairs;
}

function sortedJson(value: Readonly<Record<string, string>> = {}): string {
  return JSON.stringify(Object.entries(value).sort());
}
