/** Bytes that a cache may take on its disk. */
export interface Limit {
  /** Where the disk has no room for what was asked for, that is looked at again: more room that appears counts. */
  readonly bytes: number;
  /** Whether the disk made it, because it has no room for what was asked for. */
  readonly byDisk: boolean;
  /** What lies there already counts: it harms nobody, and may be all that is left without a network. */
  begin(): void;
}

/**
 * The limit that was asked for (bytes), lowered so that the cache grows to no more than a share of what it and the free
 * space are together.
 */
export function openLimit(
  asked: number,
  share: number,
  disk: { readonly taken: () => number; readonly free: () => number },
): Limit {
  let bytes = 0;
  const shareOfDisk = (): number => Math.floor((disk.taken() + disk.free()) * share);
  return {
    get bytes() {
      if (bytes < asked) bytes = Math.min(asked, Math.max(bytes, shareOfDisk()));
      return bytes;
    },
    get byDisk() {
      return bytes < asked;
    },
    begin() {
      bytes = Math.min(asked, Math.max(disk.taken(), shareOfDisk()));
    },
  };
}
