/** How to open SOURCE[@PIN]. Everything but the source has a default (`defaultOptions`). Plain data, so that a daemon can be handed it. */
export interface OpenOptions {
  /** `SOURCE[@PIN]` as on the command line. */
  readonly source: string;
  /** Repository name, where it is not the last part of the source's path. */
  readonly fqrn?: string;
  /** Files and directories with PEM master keys; none: the default places and the shipped keys. */
  readonly keys?: readonly string[];
  readonly weakKey?: boolean;
  readonly blacklist?: string;
  /** Cache directory; default `$XDG_CACHE_HOME/pinfs`. When given, the state lies in `DIR/state`. */
  readonly cache?: string;
  /** Bytes; default 4 GiB, never more than half of what is free. */
  readonly cacheLimit?: number;
  /** ISO 8601: judge the chain as of this moment. */
  readonly trustAt?: string;
  /** URL or directory where external files lie. */
  readonly external?: string;
  /** `NAME` or `NAME=VALUE` for variables in links; `CVMFS_*` of the environment are added. */
  readonly variables?: readonly string[];
  /** Inode numbers of 32 bits, kept in the state; otherwise they have 63. */
  readonly inodes?: 32;
  readonly offline?: boolean;
  /** Nothing less than a judgement of now: what could only be had "offline" ends with OFFLINE. */
  readonly strict?: boolean;
  /** Milliseconds that a read waits without progress; default 30 s. */
  readonly deadline?: number;
  /** Bytes a second, on average over each deadline, that are progress; default 1 KiB. */
  readonly minRate?: number;
  readonly followRedirects?: boolean;
  /** File of an attestation (DSSE envelope), and the public keys that may have signed it. */
  readonly attestation?: string;
  readonly signers?: readonly string[];
}
