import type { ContentHash } from '../../format/hash.js';
import type { RootProperties } from '../../tree/tree.js';
import type { Want } from '../../store/want.js';
import type { Verdict } from '../../trust/verdict/verdict.js';

/** Which root catalog to open, and how to judge it once it is there. */
export interface ResolvedSnapshot {
  readonly root: Want;
  readonly tag: string | undefined;
  /** What its owner says of the repository, by the manifest that vouches for it. */
  readonly metainfo?: ContentHash | undefined;
  /** Called once the root catalog is verified. @throws PinfsError: refused after all. */
  readonly judge: (root: RootFacts) => Verdict;
  /** What to remember once all is well. */
  readonly record: () => void;
}

/** What only the root catalog itself can say. */
export interface RootFacts {
  readonly properties: RootProperties;
  /** SHA-256 of its plain bytes, hex; computed when asked for. */
  readonly sha256: () => string;
}
