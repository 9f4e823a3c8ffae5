/**
 * Facts of the running process behind the magic extended attributes and statfs. Asked for on each
 * use, so they are cheap to get; plain data, so that a worker thread can have its own.
 */
export interface LiveFacts {
  /** Version of pinfs. */
  readonly version: string;
  readonly pid: number;
  /** Numeric user of the process: membership of a repository binds everyone but root. */
  readonly uid: number;
  /** Seconds since the mount began. */
  readonly uptime: number;
  /** Seconds until the head is asked for again; undefined for a pin. */
  readonly ttlLeft: number | undefined;
  /** Files and directories opened so far. */
  readonly opens: number;
  readonly directoryOpens: number;
  /** Objects fetched, and I/O errors that callers saw (for a head: with questions for it that failed), so far. */
  readonly downloads: number;
  readonly errors: number;
  /** Unix time of the last such error in seconds; 0: none. */
  readonly lastError: number;
  /** Objects found in the cache, and not found there. */
  readonly hits: number;
  readonly misses: number;
  /** Bytes received from the source, and the milliseconds that it took (0: unknown). */
  readonly received: number;
  readonly receivingTime: number;
  /** Bytes in the cache and its limit. */
  readonly cacheBytes: number;
  readonly cacheLimit: number;
  /** The last lines of the log. */
  readonly log: string;
  /** Files that this process may open, and has open; 0: unknown. */
  readonly filesMax: number;
  readonly filesOpen: number;
  /** Seconds for which a server may take to accept a connection. */
  readonly connectTimeout: number;
  /** The master keys, as PEM. */
  readonly publicKeys: string;
  /** JSON of the last verdict, and the snapshot that it is on; undefined: none but the first. */
  readonly trust: { readonly rootHash: string; readonly verdict: string } | undefined;
}

/** Facts where nothing is mounted and nothing counted, as for the command line. */
export function quietFacts(known: Partial<LiveFacts> = {}): LiveFacts {
  return {
    version: 'unknown',
    pid: process.pid,
    uid: process.getuid?.() ?? 0,
    uptime: Math.floor(process.uptime()),
    ttlLeft: undefined,
    opens: 0,
    directoryOpens: 0,
    downloads: 0,
    errors: 0,
    lastError: 0,
    hits: 0,
    misses: 0,
    received: 0,
    receivingTime: 0,
    cacheBytes: 0,
    cacheLimit: 0,
    log: '',
    filesMax: 0,
    filesOpen: 0,
    connectTimeout: 0,
    publicKeys: '',
    trust: undefined,
    ...known,
  };
}
