import { asPinfsError, PinfsError } from '../../format/errors.js';
import { parseManifest, type Manifest } from '../../format/manifest.js';
import { objectPath, type ObjectName } from '../../format/hash.js';
import { addAlternative, type Alternatives } from '../../source/alternatives.js';
import type { Served, Source } from '../../source/source.js';
import { readWhole } from '../../store/run.js';
import type { Store } from '../../store/store.js';
import { sizeLimits, type Want } from '../../store/want.js';
import type { Evidence } from '../../trust/judge/judge.js';

const manifestFile = '.cvmfspublished';
const whitelistFile = '.cvmfswhitelist';

/** What a head is made of, apart from objects. */
export const headFiles: ReadonlySet<string> = new Set([manifestFile, whitelistFile]);

/** Whom to ask. */
export interface EvidencePlaces {
  /** For manifest and whitelist: one server alone, where there are several. */
  readonly asked: Source;
  /** For the certificate, which is bound by its hash. */
  readonly source: Source;
  readonly store: Store;
  /**
   * Objects that will be needed if a manifest turns out to be right: they are asked for together with the certificate,
   * which spares a round trip. They are verified by their hash, as all are, and used when the manifest was judged.
   */
  readonly early?: ((manifest: Manifest) => readonly Want[]) | undefined;
}

/**
 * Asks for manifest and whitelist, and has the certificate from the cache, where it is not there from the
 * source. All are as they are stored. What can't be had stands in the evidence as its error: the judge says
 * what that means. @param served who gave it, and who gave before what was none.
 */
export async function gatherEvidence(
  places: EvidencePlaces,
  alternatives: Alternatives,
  signal: AbortSignal,
  served: Served[],
): Promise<Evidence> {
  const { asked } = places;
  const before = [...served];
  const request = { signal };
  const [manifest, whitelist] = await Promise.all([
    attempt(asked.get(manifestFile, sizeLimits.manifest, { ...request, served })),
    attempt(asked.get(whitelistFile, sizeLimits.whitelist, { ...request, served: before })),
  ]);
  const certificate = await certificateOf(manifest, { ...places, alternatives }, request);
  return { manifest, whitelist, certificate };
}

async function certificateOf(
  manifestBytes: Buffer | PinfsError,
  places: EvidencePlaces & { readonly alternatives: Alternatives },
  request: { readonly signal: AbortSignal },
): Promise<Buffer | PinfsError | undefined> {
  if (manifestBytes instanceof PinfsError) return undefined;
  const manifest = parseManifest(manifestBytes);
  if (manifest instanceof PinfsError) return undefined; // the judge says what is wrong with it
  if (manifest.certificate === undefined) return undefined;
  for (const want of places.early?.(manifest) ?? []) {
    places.store.shelf.expect?.([want]);
    // Whoever needs it hears what is wrong with it.
    places.store.fetch(want, request.signal, { brief: true }).catch(() => undefined);
  }
  const object: ObjectName = { hash: manifest.certificate, kind: 'certificate' };
  if (manifest.alternative) {
    addAlternative(places.alternatives, object);
    addAlternative(places.alternatives, { hash: manifest.rootHash, kind: 'catalog' });
  }
  // The stored form of 64 KiB of PEM is never larger than this.
  const limit = 2 * sizeLimits.certificate;
  // Kept as it is stored: its hash is that of the stored form, and the judge checks it like one from outside.
  const size = { kind: 'limit', bytes: limit } as const;
  const want: Want = { object, compression: 'none', size, path: '' };
  const cached = await attempt(readWhole(places.store, want, { ...request, brief: true }));
  if (!(cached instanceof PinfsError) || !isOfThisMachine(cached)) return cached;
  // A cache that can't keep it is no reason to be without it.
  return await attempt(places.source.get(objectPath(object), limit, request));
}

function isOfThisMachine({ code }: PinfsError): boolean {
  return code === 'INTERNAL' || code.startsWith('CACHE_');
}

async function attempt(promise: Promise<Buffer>): Promise<Buffer | PinfsError> {
  try {
    return await promise;
  } catch (error) {
    return asPinfsError(error);
  }
}
