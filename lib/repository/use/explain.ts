import { printable, type ByteString } from '../../format/bytes.js';
import { asPinfsError } from '../../format/errors.js';
import { objectPath, objectText } from '../../format/hash.js';
import type { FetchOutcome } from '../../store/outcomes.js';
import { wantKey, type Failure, type Outcome, type Want } from '../../store/want.js';
import { wantsForRange } from '../../tree/content.js';
import type { Entry } from '../../tree/entry.js';
import type { Repository } from '../repository.js';
import { failureError } from './path.js';

/** One object that a path needs. */
export interface ExplainedObject {
  readonly role: 'catalog' | 'object' | 'chunk';
  /** For which path: of a catalog, where it begins. */
  readonly path: string;
  readonly object: string;
  /** Unpacked; of a catalog the most that it may have. */
  readonly bytes: number;
  /** On this machine; what lies in a cache that is only read is checked when it is used. */
  readonly here: boolean;
  /** Of its last fetch, where that did not bring it. */
  readonly outcome: FetchOutcome | null;
  /** Which mirror would be asked, through which proxy; null: nobody. */
  readonly way: string | null;
}

/** Why reading a path works, fails or takes long. Plain JSON. */
export interface Explanation {
  readonly repository: string;
  readonly rootHash: string;
  readonly path: string;
  /** Of the last name that was found. */
  readonly type: string | null;
  readonly size: number | null;
  readonly objects: readonly ExplainedObject[];
  /** Objects that are not listed, as there are too many. */
  readonly unlisted: number;
  readonly absent: { readonly objects: number; readonly bytes: number };
  /** What reading it ends with now, as far as is known; null: nothing speaks against it. */
  readonly problem: { readonly code: string; readonly message: string } | null;
  readonly verdict: 'here' | 'slow' | 'fails' | 'unknown';
  /** One sentence for people. */
  readonly summary: string;
}

const listedMax = 1000;

/** Looks at what is on this machine and asks nobody. The tree may open catalogs that are here. */
export function explainPath(repository: Repository, path: ByteString): Explanation {
  const { tree } = repository;
  const wants: { readonly role: ExplainedObject['role']; readonly want: Want }[] = [];
  const met = new Set<string>();
  const add = (role: ExplainedObject['role'], want: Want): void => {
    const key = wantKey(want);
    if (!met.has(key)) wants.push({ role, want });
    met.add(key);
  };
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  let entry: Entry | undefined;
  const end: { failure?: Failure; isCut: boolean } = { isCut: false };
  /** Notes a catalog that is lacking. */
  const value = <T>(outcome: Outcome<T>): T | undefined => {
    if (outcome.kind === 'done') return outcome.value;
    if (outcome.kind === 'miss') {
      add(outcome.want.object.kind === 'catalog' ? 'catalog' : 'object', outcome.want);
      end.isCut = true;
    } else end.failure = outcome;
    return undefined;
  };
  for (let count = 0; count <= names.length && !end.isCut; count++) {
    const at = names
      .slice(0, count)
      .map((name) => `/${name}`)
      .join('');
    const found = value(tree.resolve(at));
    if (found === undefined) break;
    entry = found;
    const catalog = value(tree.catalogOf(found.node));
    if (catalog !== undefined) add('catalog', catalog.want);
  }
  if (entry?.type === 'file' && end.failure === undefined && !end.isCut) {
    const pieces = value(wantsForRange(tree, entry, 0, entry.size)) ?? [];
    for (const { want } of pieces) add(entry.content?.chunked === true ? 'chunk' : 'object', want);
  }
  const objects = wants.map(({ role, want }) => explained(repository, role, want));
  return concluded(repository, path, entry, objects, end);
}

function explained(
  { store, opening }: Repository,
  role: ExplainedObject['role'],
  want: Want,
): ExplainedObject {
  const isHere = store.isOnMachine?.(want) === true;
  const isAsked = !isHere && opening.options.offline !== true;
  return {
    role,
    path: want.path === '' ? '/' : printable(want.path),
    object: objectText(want.object),
    bytes: want.size.bytes,
    here: isHere,
    outcome: isHere ? null : (store.outcomeOf?.(want) ?? null),
    way: isAsked ? wayOf(opening, want) : null,
  };
}

function wayOf({ source, externalLabel }: Repository['opening'], want: Want): string | null {
  if (want.external !== undefined) return externalLabel ?? null;
  return source.wayOf?.(objectPath(want.object)) ?? source.label;
}

function concluded(
  repository: Repository,
  path: ByteString,
  entry: Entry | undefined,
  objects: readonly ExplainedObject[],
  { failure: stopped, isCut }: { readonly failure?: Failure; readonly isCut: boolean },
): Explanation {
  const absent = objects.filter(({ here }) => !here);
  const bytes = absent.reduce((sum, one) => sum + (one.role === 'catalog' ? 0 : one.bytes), 0);
  const problem = problemOf(repository, path, entry, absent, stopped);
  const isFetched = absent.some(({ outcome }) => outcome?.state === 'fetching');
  const verdict =
    problem !== null ? 'fails' : absent.length === 0 ? 'here' : isCut ? 'unknown' : 'slow';
  const texts = {
    fails: `${problem?.message ?? ''} [${problem?.code ?? ''}]`,
    here: 'all that it needs is on this machine',
    unknown: `a catalog on the way is not on this machine${isFetched ? ', and is being fetched' : ''}: what lies behind it is not known yet`,
    slow: `${absent.length} of ${objects.length} objects (${bytes} bytes) are not on this machine${isFetched ? '; some are being fetched' : ' and have to be fetched first'}`,
  };
  const { fqrn, descriptor } = repository;
  return {
    repository: fqrn,
    rootHash: descriptor.identity.rootHash,
    path: path === '' ? '/' : printable(path),
    type: isCut || stopped !== undefined ? null : (entry?.type ?? null),
    size: isCut || stopped !== undefined ? null : (entry?.size ?? null),
    objects: objects.slice(0, listedMax),
    unlisted: Math.max(0, objects.length - listedMax),
    absent: { objects: absent.length, bytes },
    problem,
    verdict,
    summary: texts[verdict],
  };
}

function problemOf(
  { opening }: Repository,
  path: ByteString,
  entry: Entry | undefined,
  absent: readonly ExplainedObject[],
  stopped: Failure | undefined,
): Explanation['problem'] {
  if (stopped !== undefined) {
    const { code, message } = failureError(stopped, path);
    return { code, message };
  }
  if (entry?.broken !== undefined) {
    const { code, message } = asPinfsError(entry.broken);
    return { code, message };
  }
  for (const { outcome } of absent) {
    if (outcome?.state === 'failed') return { code: outcome.code, message: outcome.message };
  }
  const [first] = absent;
  if (first === undefined || opening.options.offline !== true) return null;
  return { code: 'SOURCE_OFFLINE', message: `object ${first.object} is not in the cache` };
}
