import { PinfsError, type ErrorCode } from '../../format/errors.js';
import { parseHash } from '../../format/hash.js';
import { isMovingTag } from '../../trust/memory/seen.js';
import type { SeenHead, SeenTag } from '../../trust/memory/seen-facts.js';
import {
  offlineAllowed,
  strictError,
  offlineVerdict,
  addRootCatalogStep,
} from '../../trust/verdicts.js';
import type { Verdict } from '../../trust/verdict/verdict.js';
import { isUnavailable, judgeEvidence, judgedHead, manifestRoot, rootWant } from './head.js';
import type { JudgedHead } from './newest-head.js';
import { historyWant, verdictOfTag, type ResolvedTag } from './history.js';
import { findNamed, namedInHead, type NamedIn } from './names.js';
import type { NamePin } from './pin.js';
import { environmentText } from '../../source/network.js';
import type { Opening } from './opening.js';
import type { ResolvedSnapshot } from './snapshot.js';
import { refuseBlacklisted, resolveHash } from './pinned.js';

/**
 * The snapshot that a pin means. Its verdict tells what the name of a repository became, and the proxies that only the
 * environment named.
 * @throws PinfsError of any kind of the chain, the history or the source.
 */
export async function resolveSnapshot(
  opening: Opening,
  signal: AbortSignal,
): Promise<ResolvedSnapshot> {
  const snapshot = await resolvePin(opening, signal);
  const { fromEnvironment, options } = opening;
  const notes = [
    ...(options.site === undefined ? [] : [options.site.note + (options.site.pinNote ?? '')]),
    ...(fromEnvironment === undefined ? [] : [environmentText(fromEnvironment)]),
  ];
  if (notes.length === 0) return snapshot;
  const judge: ResolvedSnapshot['judge'] = (root) => {
    const verdict = snapshot.judge(root);
    return { ...verdict, summary: [verdict.summary, ...notes].join('; ') };
  };
  return { ...snapshot, judge };
}

async function resolvePin(opening: Opening, signal: AbortSignal): Promise<ResolvedSnapshot> {
  const { pin } = opening;
  if (opening.options.attestation !== undefined) {
    const { resolveAttested } = await import('./attested.js');
    return await resolveAttested(opening, opening.options.attestation, signal);
  }
  switch (pin.kind) {
    case 'head':
      return await resolveHead(opening, signal);
    case 'hash':
      return await resolveHash(opening, pin.hash, signal);
    case 'name':
      return await resolveName(opening, pin, signal);
  }
}

async function resolveHead(opening: Opening, signal: AbortSignal): Promise<ResolvedSnapshot> {
  const head = await judgedHead(opening, signal);
  if (head.failure !== undefined) return offlineHead(opening, head.failure, head.verdict.reasons);
  const manifest = verifiedManifest(head);
  return {
    root: manifestRoot(manifest),
    tag: undefined,
    metainfo: manifest.metainfo,
    judge: () => addRootCatalogStep(head.verdict),
    record: () => recordHead(opening, head),
  };
}

/** The last verified head, if what went wrong lets us stay there; else the failure. */
export function offlineHead(
  opening: Opening,
  failure: PinfsError,
  reasons: Verdict['reasons'] = [],
): ResolvedSnapshot {
  const seen = opening.seen.get(opening.fqrn)?.head;
  if (seen === undefined || !offlineAllowed(failure, reasons)) throw failure;
  return offlineSnapshot(opening, seen, undefined, failure, reasons);
}

function offlineSnapshot(
  opening: Opening,
  seen: Pick<SeenHead, 'rootHash' | 'rootSize' | 'revision' | 'verdict'>,
  tag: string | undefined,
  failure: PinfsError,
  reasons: Verdict['reasons'] = [],
): ResolvedSnapshot {
  const hash = parseHash(seen.rootHash);
  if (hash === undefined) throw failure;
  refuseBlacklisted(opening, seen.revision, seen.rootHash);
  const now = opening.environment.now();
  return {
    root: rootWant(hash, seen.rootSize),
    tag,
    judge: () => addRootCatalogStep(offlineVerdict(seen.verdict, failure, now, reasons)),
    record: () => undefined,
  };
}

function verifiedManifest(head: JudgedHead) {
  if (head.manifest === undefined)
    throw new PinfsError('INTERNAL', 'a head without manifest was verified');
  return head.manifest;
}

/** Remembers a head that was verified, with its evidence. */
export function recordHead(opening: Opening, head: JudgedHead): void {
  const manifest = verifiedManifest(head);
  opening.seen.recordHead(opening.fqrn, {
    revision: manifest.revision,
    published: manifest.published,
    rootHash: manifest.rootHash.text,
    rootSize: manifest.rootSize,
    historyHash: manifest.history?.text,
    verdict: head.verdict,
  });
  recordEvidence(opening, manifest.rootHash.text, head);
}

/** The evidence of the time is kept, so that a pin can still show it years later. */
function recordEvidence(opening: Opening, rootHash: string, head: JudgedHead): void {
  const { manifest, whitelist, certificate } = head.evidence;
  if (!Buffer.isBuffer(manifest) || !Buffer.isBuffer(whitelist) || !Buffer.isBuffer(certificate))
    return;
  const { verdict } = head;
  opening.seen.recordEvidence(
    opening.fqrn,
    rootHash,
    { manifest, whitelist, certificate, verifiedAt: verdict.judgedAt },
    verdict,
  );
}

/** What the history of a usable head says of a name; what was resolved before stays resolved. */
async function resolveName(
  opening: Opening,
  pin: NamePin,
  signal: AbortSignal,
): Promise<ResolvedSnapshot> {
  const head = await judgedHead(opening, signal, ({ history }) =>
    history === undefined ? [] : [historyWant(history)],
  );
  if (head.failure !== undefined)
    return await nameWithoutHead(opening, pin, head, head.failure, signal);
  try {
    const tag = await findNamed(opening, namedInHead(verifiedManifest(head)), pin, signal);
    return tagSnapshot(opening, head, tag);
  } catch (thrown) {
    const known = opening.seen.get(opening.fqrn)?.tags.get(pin.text);
    if (!(thrown instanceof PinfsError) || known === undefined || !keepsTag(thrown)) throw thrown;
    return offlineSnapshot(opening, known, known.name, thrown);
  }
}

const offlineCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'HISTORY_MISSING',
  'HISTORY_MALFORMED',
  'TAG_UNKNOWN',
  'TAG_HASH_MALFORMED',
]);

/** Whether a tag that was resolved before stays what it was although the history can't say so now. */
function keepsTag(error: PinfsError): boolean {
  return isUnavailable(error) || offlineCodes.has(error.code);
}

function tagSnapshot(
  opening: Opening,
  head: JudgedHead,
  tag: ResolvedTag,
  older?: PinfsError,
): ResolvedSnapshot {
  refuseBlacklisted(opening, tag.revision, tag.hash.text);
  const named = verdictOfTag(head.verdict, tag);
  // As true as its signature, and no more current than what was seen before.
  const now = opening.environment.now();
  const verdict = older === undefined ? named : offlineVerdict(named, older, now);
  return {
    root: rootWant(tag.hash, tag.size),
    tag: tag.isUntagged === true ? undefined : tag.name,
    metainfo: verifiedManifest(head).metainfo,
    judge: () => addRootCatalogStep(verdict),
    record: () => {
      if (older === undefined) recordHead(opening, head);
      // What was counted from the head promises nothing for the next time.
      if (tag.isUntagged === true) return;
      opening.seen.recordTag(opening.fqrn, {
        name: tag.name,
        rootHash: tag.hash.text,
        revision: tag.revision,
        rootSize: tag.size,
        verdict: named,
      });
      // What vouched for the tag is kept under its own root hash as well: the blacklist asks for it.
      recordEvidence(opening, verifiedManifest(head).rootHash.text, head);
      recordEvidence(opening, tag.hash.text, head);
    },
  };
}

/**
 * With no usable head: the tag as it was resolved before, or what the last verified history says, if that
 * can be had. Else a tag is a pin, and a head that is merely older than one seen may name it. For a date,
 * and for tags that move, it may not, since an older history would silently give another answer.
 */
async function nameWithoutHead(
  opening: Opening,
  pin: NamePin,
  judged: JudgedHead,
  failure: PinfsError,
  signal: AbortSignal,
): Promise<ResolvedSnapshot> {
  const { reasons } = judged.verdict;
  if (!offlineAllowed(failure, reasons)) throw failure;
  const seen = opening.seen.get(opening.fqrn);
  const known = seen?.tags.get(pin.text);
  if (known !== undefined) return offlineSnapshot(opening, known, known.name, failure, reasons);
  const kept = await keptTag(opening, seen?.head, pin, signal);
  if (kept === 'unknown') throw failure;
  if (kept !== undefined) return offlineSnapshot(opening, kept, kept.tag, failure, reasons);
  if (opening.options.strict === true) throw strictError(judged.verdict);
  const moves = pin.date !== undefined || pin.back !== undefined || isMovingTag(pin.text);
  if (failure.code !== 'ROLLBACK' || moves) throw failure;
  const older = { ...judged, ...judgeEvidence(opening, judged.evidence, false) };
  const line = namedInHead(verifiedManifest(older));
  return tagSnapshot(opening, older, await findNamed(opening, line, pin, signal), failure);
}

/** What the history of the last verified head says of a name, and that head; undefined: that can't be had. */
async function keptTag(
  opening: Opening,
  head: SeenHead | undefined,
  pin: NamePin,
  signal: AbortSignal,
): Promise<KeptTag | 'unknown' | undefined> {
  const line = head && lineOfSeen(head);
  if (head === undefined || line === undefined) return undefined;
  try {
    const tag = await findNamed(opening, line, pin, signal);
    const verdict = verdictOfTag(head.verdict, tag);
    const { name, revision, size } = tag;
    const named = tag.isUntagged === true ? undefined : name;
    return { tag: named, rootHash: tag.hash.text, rootSize: size, revision, verdict };
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof PinfsError)) throw thrown;
    return unknownTag.has(thrown.code) ? 'unknown' : undefined;
  }
}

interface KeptTag extends Omit<SeenTag, 'name'> {
  readonly tag: string | undefined;
}

function lineOfSeen({ rootHash, rootSize, revision, historyHash }: SeenHead): NamedIn | undefined {
  const hash = parseHash(rootHash);
  const history = historyHash === undefined ? undefined : parseHash(historyHash);
  return hash && { root: rootWant(hash, rootSize), revision, history };
}

const unknownTag: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'TAG_UNKNOWN',
  'DATE_TOO_EARLY',
  'TAG_HASH_MALFORMED',
  'REVISION_UNKNOWN',
  'HASH_AMBIGUOUS',
]);
