import { isoTime } from '../format/time.js';
import { asPinfsError, PinfsError } from '../format/errors.js';
import { parseHash } from '../format/hash.js';
import type { HistoryTag } from '../tree/history.js';
import { refusedVerdict, withoutRootCatalog } from '../trust/verdicts.js';
import type { Verdict } from '../trust/verdict/verdict.js';
import { processEnvironment, type Environment } from './open/environment.js';
import { askedOnce } from './open/asked-once.js';
import { judgedHead } from './open/head.js';
import type { JudgedHead } from './open/newest-head.js';
import { readHistory, verdictOfTag } from './open/history.js';
import { findNamed, namedInHead } from './open/names.js';
import { openAsAsked } from './open.js';
import { prepare, type Opening } from './open/opening.js';
import type { OpenOptions } from './open/options.js';
import type { RootProperties } from '../tree/tree.js';

/** What can be said of SOURCE[@PIN], also where it is refused. */
export interface Inspection {
  readonly verdict: Verdict;
  /** For people and programs; null: not known. */
  readonly facts: Readonly<Record<string, string | number | null>>;
  /** Newest first; undefined: the history can't be had. */
  readonly tags: readonly HistoryTag[] | undefined;
  /** Why it can't be mounted like this; its exit code is the command's. */
  readonly failure: PinfsError | undefined;
}

/**
 * Looks at a repository as far as it goes: a chain that is refused is shown with what could be read
 * all the same, and with `failure` set.
 * @throws PinfsError for wrong usage; where nothing can be said at all, as of a server that is not reachable; OFFLINE.
 */
export async function inspectSource(
  options: OpenOptions,
  environment: Environment = processEnvironment,
): Promise<Inspection> {
  const opening = await prepare(options, environment);
  try {
    return await inspectOpening({ ...opening, source: askedOnce(opening.source) });
  } finally {
    await opening.close();
  }
}

async function inspectOpening(opening: Opening): Promise<Inspection> {
  let failure: PinfsError | undefined;
  let verdict: Verdict | undefined;
  let root: { hash: string; tag: string | undefined; properties: RootProperties } | undefined;
  try {
    const repository = await openAsAsked(opening);
    const { rootHash, tag } = repository.descriptor.identity;
    verdict = repository.verdict;
    root = { hash: rootHash, tag, properties: repository.tree.properties };
    repository.leave();
  } catch (error) {
    failure = asPinfsError(error);
    if (failure.code === 'OFFLINE') throw failure;
  }
  const byHashAlone = opening.pin.kind === 'hash' && failure === undefined;
  const head = byHashAlone ? undefined : await judgedHead(opening, opening.signal);
  if (failure !== undefined && head !== undefined && gaveNothing(head)) throw failure;
  const shown = verdict ?? (await unopened(opening, head, failure ?? unknown()));
  return {
    verdict: shown,
    facts: factsOf(opening, shown, root),
    tags: await tagsOf(opening, head),
    failure,
  };
}

/** Not reachable, or no repository there: there is nothing to show, and nothing to trust or not. */
function gaveNothing({ evidence }: JudgedHead): boolean {
  return evidence.manifest instanceof PinfsError && evidence.whitelist instanceof PinfsError;
}

/** The verdict on what could not be opened: the chain as far as it goes. */
async function unopened(
  opening: Opening,
  head: JudgedHead | undefined,
  failure: PinfsError,
): Promise<Verdict> {
  if (head?.failure !== undefined) return head.verdict;
  const chain = head === undefined || failure.exit === 3 ? undefined : await chainOf(opening, head);
  if (chain !== undefined) return withoutRootCatalog(chain, failure);
  return refusedVerdict({ fqrn: opening.fqrn, now: opening.environment.now() }, failure);
}

/** What a judged head says of the pin, without its root catalog. */
async function chainOf(opening: Opening, head: JudgedHead): Promise<Verdict | undefined> {
  const { pin } = opening;
  if (pin.kind === 'hash' || opening.options.attestation !== undefined) return undefined;
  if (pin.kind === 'head') return head.verdict;
  try {
    if (head.manifest === undefined) return undefined;
    const tag = await findNamed(opening, namedInHead(head.manifest), pin, opening.signal);
    return verdictOfTag(head.verdict, tag);
  } catch {
    return undefined;
  }
}

function unknown(): PinfsError {
  return asPinfsError(new Error('nothing is known'));
}

async function tagsOf(
  opening: Opening,
  head: JudgedHead | undefined,
): Promise<readonly HistoryTag[] | undefined> {
  try {
    // Of a head that was refused, the last one that was verified here says more.
    const kept = opening.seen.get(opening.fqrn)?.head?.historyHash;
    const usable = head?.failure === undefined ? head?.manifest?.history : undefined;
    const history = usable ?? (kept === undefined ? undefined : parseHash(kept));
    const named = history ?? head?.manifest?.history;
    return (await readHistory(opening, named, opening.signal)).tags;
  } catch {
    return undefined;
  }
}

function factsOf(
  opening: Opening,
  verdict: Verdict,
  root: { hash: string; tag: string | undefined; properties: RootProperties } | undefined,
): Record<string, string | number | null> {
  const lastModified = root?.properties.lastModified ?? 0;
  return {
    name: opening.fqrn,
    source: opening.source.label,
    tag: root?.tag ?? null,
    revision: root?.properties.revision ?? verdict.revision ?? null,
    rootHash: root?.hash ?? verdict.rootHash ?? null,
    published: verdict.published ?? (lastModified > 0 ? isoTime(lastModified) : null),
    ttlSeconds: root?.properties.ttl ?? null,
    schema: root?.properties.schema ?? null,
    certificateFingerprint: verdict.fingerprint ?? null,
    whitelistCreated: verdict.whitelist?.created ?? null,
    whitelistExpires: verdict.whitelist?.expires ?? null,
    membershipNeeded: root?.properties.vomsAuthz ?? null,
  };
}
