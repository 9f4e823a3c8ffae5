/* What objects take in a cache, and how much is removed at once (bytes). */

/** What an object takes on the disk: whole blocks of the usual size. */
export function charge(size: number): number {
  return Math.max(4096, Math.ceil(size / 4096) * 4096);
}

// What is removed beyond need at once: few transactions, none of them long.
const evictMoreBytesMax = 4 * 1024 * 1024;

/** How much is removed where so much is too much for a limit. */
export function evictionGoal(excess: number, limit: number): number {
  return excess + Math.min(evictMoreBytesMax, Math.floor(limit / 64 / 4096) * 4096);
}

// What the records may take beside the limit; what is more counts in it, up to a quarter: a database
// does not become smaller again.
const recordsFreeBytes = 2 * 1024 * 1024;

/** What of a limit is left to objects. @param records what the records take. */
export function roomForObjects(limit: number, records: number): number {
  return limit - Math.min(limit / 4, Math.max(0, records - recordsFreeBytes));
}

// Smaller caches have a file for each object: whole segments would be too much of them.
const segmentCacheBytesMin = 128 * 1024 * 1024;
const segmentShare = 1 / 64;
/** How long a segment may become, in the largest caches. */
export const segmentBytesMax = 8 * 1024 * 1024;
/** Larger objects get a file of their own, which the kernel can read by itself (passthrough). */
export const smallObjectBytesMax = 64 * 1024;

/** What segments take on the disk: whole blocks of the usual size. */
export function segmentCharge(length: number): number {
  return Math.ceil(length / 4096) * 4096;
}

/** How long segments of a cache may become; 0: it has none. @param limit of the whole cache. */
export function segmentLimit(limit: number): number {
  if (limit < segmentCacheBytesMin) return 0;
  return Math.min(segmentBytesMax, Math.floor(limit * segmentShare));
}

/** A segment is given up when it has so many bytes of gaps, and they are half of it: what is left moves. */
export const gapBytesMin = 64 * 1024;

/** Whether a segment that takes so much, of which objects are so much, is given up. */
export function isGappy(bytes: number, live: number): boolean {
  return bytes - live >= Math.max(gapBytesMin, Math.floor(bytes / 2));
}
