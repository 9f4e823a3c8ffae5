import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import type { ObjectName } from '../../format/hash.js';
import { parseManifest, type Manifest } from '../../format/manifest.js';

import { judgedHead } from '../../repository/open/head.js';
import type { JudgedHead } from '../../repository/open/newest-head.js';
import type { Opening } from '../../repository/open/opening.js';
import { recordHead } from '../../repository/open/resolve.js';
import { unpack } from '../../store/inflate.js';
import { sizeLimits, type Want } from '../../store/want.js';
import type { HistoryTag } from '../../tree/history.js';
import { isoTimeOrNone } from '../../trust/verdict/steps.js';
import type { Verdict } from '../../trust/verdict/verdict.js';
import { noteCopyBegin, noteCopyEnd, noteCopyOver } from '../repository/status-file.js';
import type { RepositoryProblem } from '../repository/walk.js';
import { historyOf } from '../revision/history.js';
import { readObject } from '../revision/read-objects.js';
import type { Storage } from '../storage/storage.js';
import { bring, bytesOf, put, receive, type Porter } from './bring.js';
import { finishMirror } from './finish.js';
import { makePlan, type MirrorPlan } from './plan.js';
import { noteSelection, selectRoots, type Selection } from './selection.js';
import { transfer, type Transferred } from './transfer.js';

export interface MirrorRequest {
  /** Of the source, with no pin. */
  readonly opening: Opening;
  /** Whoever calls holds its lock. */
  readonly storage: Storage;
  readonly selection: Selection;
  /** Objects that are under way at once. */
  readonly jobs: number;
  /** Looks for catalogs, telling how many it has. */
  readonly planning: <T>(
    body: (tell: (plan: Pick<MirrorPlan, 'catalogs' | 'total'>) => void) => Promise<T>,
  ) => Promise<T>;
  /** Brings all of a plan, telling what is there. */
  readonly bringing: <T>(
    plan: Pick<MirrorPlan, 'total'>,
    body: (tell: (done: MirrorPlan['total']) => void) => Promise<T>,
  ) => Promise<T>;
}

export interface MirrorReport {
  readonly fqrn: string;
  readonly storage: string;
  readonly source: string;
  readonly revision: number;
  readonly rootHash: string;
  /** ISO 8601; undefined: the manifest does not say it. */
  readonly published: string | undefined;
  /** Snapshots that it has, the newest one among them. */
  readonly snapshots: number;
  /** Catalogs that were not there before. */
  readonly catalogs: number;
  /** Content that they name, and its plain bytes. */
  readonly content: { readonly objects: number; readonly bytes: number };
  /** Objects that are new in the storage, catalogs too, and their bytes as they are stored. */
  readonly brought: { readonly objects: number; readonly bytes: number };
  /** Whether clients see the new state; where there are problems they see the one before. */
  readonly isWhole: boolean;
  readonly problems: readonly RepositoryProblem[];
  /** Why not everything was asked for: the source answers no more. */
  readonly endedEarly: string | undefined;
  readonly trust: Verdict;
}

/**
 * Makes a storage a copy of a repository, or brings it up to date: objects first, each catalog when all that it reaches is
 * there, then what the manifest names, whitelist and manifest. Interrupted at any moment, clients see the state before,
 * and the same request goes on. Nothing is removed.
 * @throws PinfsError of the chain of signatures, of the history; ROLLBACK, REVISION_CHANGED, REPOSITORY_EXISTS,
 *   STORAGE_FAILED, INTERRUPTED
 */
export async function mirrorRepository(request: MirrorRequest): Promise<MirrorReport> {
  const { opening, storage } = request;
  const { fqrn, signal, environment } = opening;
  if (opening.pin.kind !== 'head') {
    throw new PinfsError('USAGE', 'a mirror follows the head: no pin is taken', {
      advice: 'Choose snapshots with --tag NAME or --newest N.',
    });
  }
  const head = await judgedHead(opening, signal);
  if (head.failure !== undefined) throw head.failure;
  const { manifest, whitelist } = head.evidence;
  if (head.manifest === undefined || !Buffer.isBuffer(manifest) || !Buffer.isBuffer(whitelist))
    throw new PinfsError('INTERNAL', 'a head without manifest was verified');
  const before = await headBefore(storage, fqrn);
  refuseOlder(storage, head.manifest, before);
  const directory = mkdtempSync(join(storage.aside ?? tmpdir(), 'mirror-'));
  try {
    await noteCopyBegin(storage, environment.now());
    const porter = makePorter(opening, storage, directory);
    const { report, roots } = await copy(request, porter, head, head.manifest, before);
    if (!report.isWhole) return report;
    await finishMirror({
      ...{ fqrn, storage, roots, manifest: head.manifest, evidence: { manifest, whitelist } },
      now: environment.now,
    });
    await noteCopyEnd(storage, environment.now());
    recordHead(opening, head);
    return report;
  } finally {
    rmSync(directory, { recursive: true, force: true });
    await noteCopyOver(storage);
  }
}

function makePorter({ source, signal }: Opening, storage: Storage, directory: string): Porter {
  let numbers = 0;
  return {
    source,
    storage,
    signal,
    temporaryName: () => join(directory, String(numbers++)),
    brought: { objects: 0, bytes: 0 },
  };
}

/** Brings all objects; where one is lacking, nothing that names others. */
async function copy(
  { opening, storage, selection, jobs, planning, bringing }: MirrorRequest,
  porter: Porter,
  head: JudgedHead,
  manifest: Manifest,
  before: Manifest | undefined,
) {
  const { rootHash, revision } = manifest;
  const rest = await receiveRest(porter, opening.fqrn, head, manifest);
  const roots = selectRoots(rootHash, rest.tags, selection);
  const plan = await planning((tell) => makePlan(porter, roots, tell));
  const { total } = plan;
  const { problems, endedEarly }: Transferred = await bringing({ total: { ...total } }, (tell) =>
    transfer(porter, plan, jobs, tell),
  );
  const isWhole = problems.length === 0 && endedEarly === undefined;
  if (isWhole) {
    await rest.put();
    await noteSelection(storage, selection, roots, await rootsBefore(storage, before));
  }
  const report: MirrorReport = {
    ...{ fqrn: opening.fqrn, storage: storage.name, source: opening.source.label },
    ...{ revision, rootHash: rootHash.text, published: isoTimeOrNone(manifest.published) },
    ...{ snapshots: roots.length, catalogs: plan.catalogs, content: total },
    ...{ brought: { ...porter.brought }, isWhole, problems, endedEarly, trust: head.verdict },
  };
  return { report, roots };
}

/** What the manifest names besides the catalog: fetched now, as tags stand in it, and put there later. */
async function receiveRest(
  porter: Porter,
  fqrn: string,
  { evidence }: JudgedHead,
  { certificate, history, metainfo }: Manifest,
): Promise<{ readonly tags: readonly HistoryTag[]; readonly put: () => Promise<void> }> {
  let tags: readonly HistoryTag[] = [];
  let historyBytes: Buffer | undefined;
  const historyWant = history && wantOf({ hash: history, kind: 'history' }, sizeLimits.history);
  if (historyWant !== undefined) {
    await receive(porter, historyWant, async (content) => {
      historyBytes = await bytesOf(content);
    });
    if (historyBytes !== undefined) ({ tags } = historyOf(unpack(historyBytes, historyWant), fqrn));
  }
  return {
    tags,
    async put() {
      if (historyWant !== undefined && historyBytes !== undefined)
        await put(porter, historyWant.object, historyBytes);
      // The judge has held it against its hash.
      if (certificate !== undefined && Buffer.isBuffer(evidence.certificate))
        await put(porter, { hash: certificate, kind: 'certificate' }, evidence.certificate);
      if (metainfo !== undefined)
        await bring(porter, wantOf({ hash: metainfo, kind: 'metainfo' }, sizeLimits.metainfo));
    },
  };
}

function wantOf(object: ObjectName, bytes: number): Want {
  return { object, compression: 'zlib', size: { kind: 'limit', bytes }, path: '' };
}

const manifestBytesMax = 2 ** 20;

/** What clients of the storage see now. @throws PinfsError REPOSITORY_EXISTS: it is another repository. */
async function headBefore(storage: Storage, fqrn: string): Promise<Manifest | undefined> {
  const file = await storage.read('.cvmfspublished', manifestBytesMax);
  if (file === undefined) return undefined;
  const manifest = parseManifest(file.bytes);
  if (manifest instanceof PinfsError) throw manifest;
  if (manifest.name === fqrn) return manifest;
  const text = `in ${storage.name} there is ${manifest.name ?? 'a repository without a name'}, not ${fqrn}`;
  throw new PinfsError('REPOSITORY_EXISTS', text, { advice: 'Name another storage.' });
}

/** @throws PinfsError ROLLBACK, REVISION_CHANGED */
function refuseOlder(storage: Storage, next: Manifest, before: Manifest | undefined): void {
  if (before === undefined) return;
  const { revision, rootHash } = next;
  if (revision === before.revision && rootHash.text !== before.rootHash.text) {
    const text = `revision ${revision} has the root hash ${rootHash.text}, and ${before.rootHash.text} in ${storage.name}`;
    const advice = 'Ask the publisher which is right. The mirror stays as it is.';
    throw new PinfsError('REVISION_CHANGED', text, { advice });
  }
  if (revision >= before.revision && next.published >= before.published) return;
  const text =
    `the source offers revision ${revision} of ${isoTimeOrNone(next.published) ?? 'an unknown time'}; ` +
    `${storage.name} has revision ${before.revision} of ${isoTimeOrNone(before.published) ?? 'an unknown time'}`;
  const advice = 'It may lag behind: take another server. The mirror stays as it is.';
  throw new PinfsError('ROLLBACK', text, { advice });
}

/** The snapshots that a whole mirror had until now. */
async function rootsBefore(storage: Storage, before: Manifest | undefined): Promise<string[]> {
  if (before === undefined) return [];
  const { rootHash, history, name = '' } = before;
  if (history === undefined) return [rootHash.text];
  const plain = await readObject(storage, { hash: history, kind: 'history' });
  return [rootHash.text, ...historyOf(plain, name).tags.map(({ hash }) => hash)];
}
