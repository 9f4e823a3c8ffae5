import { PinfsError } from '../../format/errors.js';
import { objectPath, objectText, type ContentHash, type ObjectName } from '../../format/hash.js';
import type { Manifest } from '../../format/manifest.js';
import { extendReflog, type ReflogEntry } from '../revision/reflog.js';
import { readReflog, replaceReflog } from '../storage/own-reflog.js';
import type { Storage } from '../storage/storage.js';

export interface NewState {
  readonly fqrn: string;
  readonly storage: Storage;
  readonly manifest: Manifest;
  readonly roots: readonly ContentHash[];
  /** As they were judged. */
  readonly evidence: { readonly manifest: Buffer; readonly whitelist: Buffer };
  readonly now: () => Date;
}

const objectBytesMax = 2 ** 30;

/** Makes what was brought the state that clients see: all that the manifest names is there. The manifest comes last. */
export async function finishMirror(state: NewState): Promise<void> {
  const { storage, manifest, evidence } = state;
  if (manifest.alternative) await writeShortcuts(storage, manifest);
  await writeReflog(state);
  await storage.write('.cvmfswhitelist', evidence.whitelist);
  await storage.write('.cvmfspublished', evidence.manifest);
}

/** Where the manifest says that what a client begins with is also at the web root (docs/format.md, 3.7). */
async function writeShortcuts(storage: Storage, manifest: Manifest): Promise<void> {
  const { rootHash, certificate, history, metainfo } = manifest;
  const objects: readonly (readonly [ContentHash | undefined, ObjectName['kind']])[] = [
    [rootHash, 'catalog'],
    [certificate, 'certificate'],
    [history, 'history'],
    [metainfo, 'metainfo'],
  ];
  for (const [hash, kind] of objects) {
    if (hash === undefined) continue;
    const object = { hash, kind };
    const { bytes } = await readStored(storage, object);
    await storage.write(`.cvmfsalt-${objectText(object)}`, bytes);
  }
}

async function readStored(storage: Storage, object: ObjectName) {
  const found = await storage.read(objectPath(object), objectBytesMax);
  if (found !== undefined) return found;
  throw new PinfsError('OBJECT_MISSING', `${objectPath(object)} is missing`);
}

/** A mirror has a reflog of its own: when it got what. */
async function writeReflog({ fqrn, storage, manifest, roots, now }: NewState): Promise<void> {
  const { rootHash, certificate, history, metainfo } = manifest;
  const named = { certificate, history, metainfo };
  const entries: ReflogEntry[] = [
    ...roots.map(({ text }) => ({ kind: 'catalog', hash: text }) as const),
    ...(['certificate', 'history', 'metainfo'] as const).flatMap((kind) => {
      const hash = named[kind]?.text;
      return hash === undefined ? [] : [{ kind, hash }];
    }),
  ];
  const before = await readReflog(storage);
  const time = Math.floor(now().getTime() / 1000);
  const bytes = extendReflog(before, fqrn, entries, time);
  await replaceReflog(storage, rootHash.algorithm, before, bytes);
}
