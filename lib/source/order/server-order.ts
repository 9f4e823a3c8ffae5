/** What decided in which order the servers of a repository are asked. */
export interface ServerOrder {
  /** `geo`: a server's Geo API; `times`: how soon each answers; `given`: as they were named. */
  readonly by: 'geo' | 'times' | 'given';
  /** For people: who said so, or why nobody was asked. */
  readonly why: string;
  /** Servers in their order, without credentials. */
  readonly servers: readonly string[];
  /** Those beyond the most that are to be used (CVMFS_MAX_SERVERS). */
  readonly leftOut: readonly string[];
}

/** What is remembered over mounts, of who answers how soon and what was said of the order. */
export interface ServerMemory {
  /** Stands for this machine where the Geo API is asked directly, so that caches tell clients apart. */
  readonly uuid: string;
  /** Milliseconds in which a server answered; undefined: not known, or too long ago. */
  time(server: string): number | undefined;
  /** The answer to a question that was asked lately. */
  geoAnswer(question: string): string | undefined;
  /** How soon a server answered (ms), by its URL without credentials. It is written a moment later. */
  noteTime(server: string, milliseconds: number): void;
  noteGeoAnswer(question: string, answer: string): void;
  /** Writes what was not written yet. */
  flush(): void;
}
