/** What a trace may hold at most: whoever reads one need not trust who wrote it. */
export const traceBounds = {
  accesses: 1 << 25,
  objects: 1 << 25,
  /** Bytes of all paths together, and of one. */
  pathBytes: 256 * 1024 * 1024,
  onePathBytes: 4096,
  processes: 1 << 20,
  processNameBytes: 64,
  headerBytes: 16 * 1024,
  /** Of one block, stored and inflated. */
  storedBlockBytes: 1024 * 1024,
  plainBlockBytes: 1024 * 1024,
} as const;
