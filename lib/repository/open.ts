import { hash } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { PinfsError } from '../format/errors.js';
import { quietFacts, type LiveFacts } from '../filesystem/live-facts.js';
import { openFilesystem } from '../filesystem/open-filesystem.js';
import type { SnapshotDescriptor } from '../filesystem/snapshot-descriptor.js';
import { connectTimeoutMs } from '../source/http/http.js';
import { sha256OfFile } from '../store/cache/read-fully.js';
import { readAllOf, runOperation } from '../store/run.js';
import { openTree } from '../tree/open-tree.js';
import type { TreeOptions } from '../tree/tree.js';
import { catalogBytesLeast } from './catalog-bytes.js';
import {
  directories,
  givenLinkVariables,
  processEnvironment,
  type Environment,
} from './open/environment.js';
import { isUnavailable } from './open/head.js';
import { rememberSource } from './open/known-sources.js';
import { openFiles } from './open-files.js';
import { openInodes, type OpenedInodes } from './inodes/open-inodes.js';
import { failureError } from './use/path.js';
import { openRun } from './use/walk-failures.js';
import { prepare, type Opening } from './open/opening.js';
import type { OpenOptions } from './open/options.js';
import type { Repository } from './repository.js';
import { offlineHead, resolveSnapshot } from './open/resolve.js';
import { shownAttributes } from './open/shown-attributes.js';
import { settleInodes } from './inodes/settle-inodes.js';
import type { ResolvedSnapshot } from './open/snapshot.js';
import { strictError } from '../trust/verdicts.js';
import { version } from '../machine/version.js';
import type { Verdict } from '../trust/verdict/verdict.js';

/**
 * Opens SOURCE[@PIN]: gets the evidence, judges it, resolves the pin and opens the root catalog.
 * @throws PinfsError with the code of what was refused, missing, damaged or not reachable.
 */
export async function openRepository(
  options: OpenOptions,
  environment: Environment = processEnvironment,
): Promise<Repository> {
  const opening = await prepare(options, environment);
  try {
    return await openAsAsked(opening);
  } catch (error) {
    await opening.close();
    throw withNearest(error, options);
  }
}

/** Where a server has no such repository, the name may have a typing error. */
function withNearest(thrown: unknown, { site }: OpenOptions): unknown {
  if (!(thrown instanceof PinfsError) || thrown.code !== 'MANIFEST_MISSING') return thrown;
  if (site?.nearest === undefined) return thrown;
  const advice = `Did you mean ${site.nearest}?`;
  return new PinfsError(thrown.code, thrown.message, { advice, cause: thrown });
}

/** The snapshot that was asked for, or the last one that was verified here where that is good enough. */
export async function openAsAsked(opening: Opening): Promise<Repository> {
  const { signal } = opening;
  const repository = await openOrFallBack(opening, await resolveSnapshot(opening, signal), signal);
  const { verdict } = repository;
  if (opening.options.strict !== true || verdict.status !== 'offline') return repository;
  repository.leave();
  throw strictError(verdict);
}

/** A new head whose root catalog does not come, or not whole, is no reason not to come up with the last one. */
async function openOrFallBack(
  opening: Opening,
  snapshot: ResolvedSnapshot,
  signal: AbortSignal,
): Promise<Repository> {
  try {
    return await openSnapshot(opening, snapshot, signal);
  } catch (error) {
    if (opening.pin.kind !== 'head' || !(error instanceof PinfsError) || !isUnavailable(error))
      throw error;
    return await openSnapshot(opening, offlineHead(opening, error), signal);
  }
}

/** Opens the root catalog of a snapshot, judges it, and remembers what was seen. */
export async function openSnapshot(
  opening: Opening,
  snapshot: ResolvedSnapshot,
  signal: AbortSignal,
): Promise<Repository> {
  const { store, fqrn } = opening;
  store.hold(snapshot.root);
  try {
    const treeOptions = {
      variables: givenLinkVariables(opening.options.variables ?? [], fqrn, opening.environment),
      owner: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
      ...shownAttributes(opening.options.site?.shown),
    };
    const inodes = openInodes(opening, snapshot.root.object.hash.text);
    const opened = await runOperation(
      () => openTree(snapshot.root, store.shelf, treeOptions, inodes?.state),
      store,
      { signal, brief: true },
    );
    if (opened.kind === 'failure') throw rootFailure(opening, failureError(opened, ''));
    const tree = opened.value;
    return await judgedRepository(opening, snapshot, treeOptions, { tree, inodes });
  } catch (error) {
    store.release(snapshot.root);
    throw error;
  }
}

/** @throws PinfsError: refused after all, or what has to be remembered can't be. The tree is closed then. */
async function judgedRepository(
  opening: Opening,
  snapshot: ResolvedSnapshot,
  treeOptions: TreeOptions,
  { tree, inodes }: Pick<Repository, 'tree'> & { readonly inodes: OpenedInodes | undefined },
): Promise<Repository> {
  try {
    const sha256 = (): string => rootSha256(opening, snapshot);
    const verdict = snapshot.judge({ properties: tree.properties, sha256 });
    snapshot.record();
    rememberSource(directories(opening.options, opening.environment).state, opening.options.source);
    opening.store.setVolatile?.(tree.properties.volatile);
    const descriptor: SnapshotDescriptor = {
      cacheDirectory: opening.store.directory,
      cachePlace: opening.store.at,
      root: snapshot.root,
      tree: treeOptions,
      identity: {
        fqrn: opening.fqrn,
        tag: snapshot.tag,
        metainfo: snapshot.metainfo,
        revision: tree.properties.revision,
        rootHash: snapshot.root.object.hash.text,
        pinned: opening.pin.kind !== 'head' || opening.options.attestation !== undefined,
        sourceLabel: opening.source.label,
        externalLabel: opening.externalLabel,
        inodeBits: opening.options.inodes === 32 ? 32 : undefined,
        trust: JSON.stringify(verdict),
      },
      inodes: inodes?.place,
    };
    const settled = inodes && { ...inodes, whole: await settleInodes(descriptor) };
    return repositoryOf(opening, snapshot, descriptor, { tree, inodes: settled }, verdict);
  } catch (error) {
    tree.close();
    throw error;
  }
}

/** Says what to do where the root catalog is missing. */
function rootFailure({ pin }: Opening, error: PinfsError): PinfsError {
  if (error.code !== 'OBJECT_MISSING' || error.advice !== undefined) return error;
  const advice =
    pin.kind === 'hash'
      ? 'Check the root hash, its tail (-rmd160, -shake128) and the repository; another server may have it.'
      : 'The source lacks what it names: ask who runs it, or take another server.';
  return new PinfsError(error.code, error.message, { advice, cause: error });
}

function rootSha256(opening: Opening, snapshot: ResolvedSnapshot): string {
  const { shelf } = opening.store;
  const fd = shelf.descriptor(snapshot.root);
  if (fd !== undefined) return sha256OfFile(fd, fstatSync(fd, { bigint: true })).toString('hex');
  // A small one has no file of its own.
  const whole = readAllOf(shelf, snapshot.root);
  if (whole.kind === 'done') return hash('sha256', whole.value, 'hex');
  throw new PinfsError('INTERNAL', 'the root catalog left the cache');
}

function repositoryOf(
  opening: Opening,
  snapshot: ResolvedSnapshot,
  descriptor: SnapshotDescriptor,
  { tree, inodes }: Pick<Repository, 'tree' | 'inodes'>,
  verdict: Verdict,
): Repository {
  const { store } = opening;
  const { pinned, rootHash, trust } = descriptor.identity;
  const { maxTtl = Infinity } = opening.options.site ?? {};
  const ttl = pinned ? undefined : Math.min(tree.properties.ttl, maxTtl);
  const last = { opening, verdict, trust };
  const rootCatalog = tree.catalogOf(tree.root);
  const live = (): LiveFacts => ({
    ...liveFacts(last.opening, ttl),
    trust: { rootHash, verdict: last.trust },
  });
  return {
    fqrn: opening.fqrn,
    get verdict() {
      return last.verdict;
    },
    tree,
    catalogBytes: rootCatalog.kind === 'done' ? catalogBytesLeast(rootCatalog.value) : 0,
    filesystem: openFilesystem(tree, store.shelf, descriptor.identity, live),
    live,
    descriptor,
    store,
    inodes,
    waitLimits: opening.waitLimits,
    traffic: opening.source.traffic,
    pinned,
    get opening() {
      return last.opening;
    },
    judgedAgain(withOpening, again) {
      last.opening = withOpening;
      last.verdict = again;
      last.trust = JSON.stringify(again);
    },
    run: openRun(store, opening.signal),
    leave() {
      try {
        tree.close();
        inodes?.state.close();
      } finally {
        store.release(snapshot.root);
      }
    },
    async close() {
      try {
        tree.close();
        inodes?.state.close();
      } finally {
        await opening.close();
      }
    },
  };
}

/** `ttl` in seconds; undefined for a pin. */
function liveFacts(opening: Opening, ttl: number | undefined): LiveFacts {
  const { statistics } = opening.store;
  const { since, at, again, errors, failedAt } = opening.headRequests;
  const { traffic } = opening.source;
  return quietFacts({
    version,
    uptime: Math.floor((Date.now() - since) / 1000),
    ttlLeft:
      ttl === undefined
        ? undefined
        : Math.max(0, Math.floor(((again ?? at + 1000 * ttl) - Date.now()) / 1000)),
    downloads: traffic.requests,
    errors,
    lastError: (failedAt ?? 0) / 1000,
    hits: statistics.hits,
    misses: statistics.misses,
    received: traffic.bytes,
    cacheBytes: statistics.bytes,
    cacheLimit: statistics.limit,
    log: opening.environment.recentLog?.() ?? '',
    ...openFiles(),
    connectTimeout: (opening.environment.network?.connectTimeout ?? connectTimeoutMs) / 1000,
    publicKeys: opening.keys
      .map((key) => key.key.export({ type: 'spki', format: 'pem' }).toString())
      .join(''),
  });
}
