/** The bits of the first byte of a record (docs/trace-format.md, 3). */

export const recordBits = {
  operation: 3,
  levelShift: 2,
  /** An object follows; else it is that of the access before. */
  object: 1 << 4,
  /** A path follows; else it is the one under which the object was accessed last. */
  path: 1 << 5,
  /** A process follows; else it is that of the access before. */
  process: 1 << 6,
  /** Place and length follow; else it goes on where the last read of the object ended, to its end. */
  range: 1 << 7,
} as const;

/** In place of an operation: a record that is no access; its kind stands in the bits of the level. */
export const noOperation = 3;

export const noteKinds = {
  /** Stored size of an object that is in the table. */
  storedSize: 0,
  /** All tables begin anew. */
  forget: 1,
} as const;

/** Most entries of a table before all begin anew: a bound on the memory of whoever writes. */
export const tableEntriesMax = 1 << 19;

/** Names follow each other in a directory, so only what differs from the last path is written. */
export function sharedPrefix(one: string, other: string, most: number): number {
  const end = Math.min(one.length, other.length, most);
  let length = 0;
  while (length < end && one.charCodeAt(length) === other.charCodeAt(length)) length++;
  return length;
}
