import type { OptionRows } from './option.js';

/** Options of each command that opens SOURCE[@PIN]: all of `OpenOptions` but the source. */
export const sourceOptionTable = {
  /** Files and directories with PEM master keys; none: the default places and the shipped keys. */
  keys: {
    flag: '--key',
    group: 'Trust',
    value: 'file|dir',
    kind: 'path',
    repeatable: true,
    help: 'PEM master key, or a directory of them',
    manual: 'A PEM master key, or a directory of them.',
    otherwise: '$XDG_CONFIG_HOME/pinfs/keys, /etc/cvmfs/keys, and the keys that ship with pinfs',
    environment: 'PINFS_KEY',
    inUse: 'a key',
  },
  /** Repository name, where it is not the last part of the source's path. */
  fqrn: {
    flag: '--fqrn',
    value: 'name',
    kind: 'text',
    help: 'name of the repository, where it is not the last part of SOURCE',
  },
  /** Cache directory; default `$XDG_CACHE_HOME/pinfs`. When given, the state lies in `DIR/state`. */
  cache: {
    flag: '--cache',
    group: 'Cache',
    value: 'dir',
    kind: 'directory',
    help: 'cache directory (its state lies in DIR/state)',
    manual: 'The cache; its state then lies in <DIR/state>.',
    otherwise: '$XDG_CACHE_HOME/pinfs',
    environment: 'PINFS_CACHE',
  },
  /** Bytes; default 4 GiB, never more than half of what is free. */
  cacheLimit: {
    flag: '--cache-limit',
    group: 'Cache',
    value: 'size',
    kind: 'size',
    help: 'most that the cache may hold, such as 500M or 4G',
    manual: 'The most that the cache may hold, such as 500M.',
    otherwise: '4G, and never more than half of what is free',
    environment: 'PINFS_CACHE_LIMIT',
  },
  /** Caches of others that are only read, the first one first. */
  cacheLower: {
    flag: '--cache-lower',
    group: 'Cache',
    value: 'dir',
    kind: 'directory',
    repeatable: true,
    help: 'a cache that is only read, of pinfs or the reference',
    manual:
      'A cache that is only read: one of pinfs, also another user’s, or the alien or preloaded cache of the reference. ' +
      'What lies there is verified, copied to the own cache and not fetched. What our own or root’s pinfs put there is ' +
      'believed by its records; anything else by its content hash, for which it is compressed again (some MB a second).',
    inUse: 'a cache below',
  },
  /** ISO 8601: judge the chain as of this moment. */
  trustAt: {
    flag: '--trust-at',
    group: 'Trust',
    value: 'date',
    kind: 'text',
    help: 'judge the chain of signatures as of this day (ISO 8601)',
    manual: 'Judges the chain of signatures as of that day (ISO 8601); the verdict says so.',
  },
  /** File of fingerprints and revisions that are refused. */
  blacklist: {
    flag: '--blacklist',
    group: 'Trust',
    value: 'file',
    kind: 'path',
    help: 'fingerprints and revisions that are refused',
    manual: 'A file of fingerprints and revisions that are refused.',
    otherwise: '/etc/cvmfs/blacklist',
    inUse: 'the blacklist',
  },
  /** URL or directory where external files lie. */
  external: {
    flag: '--external',
    group: 'Network',
    value: 'url|dir',
    kind: 'place',
    help: 'where external files lie',
    inUse: 'the directory of external files',
  },
  /** Directory with a site's files, or some files with colons between them, in place of /etc/cvmfs. */
  config: {
    flag: '--config',
    group: 'Site',
    value: 'dir',
    kind: 'path',
    help: "a site's configuration, for a SOURCE that is a name",
    otherwise: '/etc/cvmfs',
    manual:
      'Where the configuration of the site lies, for a SOURCE that is the name of a repository. ' +
      'In place of a directory some files with colons between them: then they count alone.',
  },
  /** `NAME=VALUE`: values that no file of the site changes. */
  set: {
    flag: '--set',
    group: 'Site',
    value: 'name=value',
    kind: 'text',
    repeatable: true,
    help: "a value that wins over the site's configuration",
    manual:
      "A value for the site's configuration, such as `CVMFS_HTTP_PROXY=DIRECT`. It is there before its files are read, " +
      'and none of them changes it.',
  },
  /** URLs of the same repository on other servers; `@fqrn@` and `@org@` stand for its name and the first part of it. */
  mirrors: {
    flag: '--mirror',
    group: 'Network',
    value: 'url',
    kind: 'text',
    repeatable: true,
    help: 'another server that has the same repository',
    manual:
      'The URL of the same repository on another server, for when SOURCE fails, lacks an object, or gives what is damaged. ' +
      '`@fqrn@` in it stands for the name of the repository, `@org@` for its first part. The head is the newest valid ' +
      'one that any of them has. See MIRRORS AND PROXIES.',
    fstab: 'mirror',
  },
  /** Groups of proxies: `a|b;c;DIRECT`. Not given: `http_proxy`, `https_proxy` and `no_proxy` of the environment. */
  proxy: {
    flag: '--proxy',
    group: 'Network',
    value: 'list',
    kind: 'text',
    help: "proxies, such as 'http://a:3128|http://b:3128;DIRECT'",
    manual:
      'Proxies, in groups: `|` stands between those of one group, which share the load, `;` between groups, of which the ' +
      'next one is for when all of one fail. `DIRECT` asks the server itself; nothing is asked directly unless it ' +
      'stands there.',
    otherwise: 'http_proxy, https_proxy and no_proxy of the environment',
    environment: 'PINFS_PROXY',
  },
  /** `NAME` or `NAME=VALUE` for variables in links; `CVMFS_*` of the environment are added. */
  variables: {
    flag: '--env',
    value: 'name[=value]',
    kind: 'text',
    repeatable: true,
    help: 'a variable for links like $(NAME)',
    manual:
      'A variable for symbolic links like $(NAME). Besides them only `CVMFS_*` of the environment are looked at.',
  },
  /** File of an attestation (DSSE envelope): exactly the snapshot that it attests. */
  attestation: {
    flag: '--attestation',
    group: 'Trust',
    value: 'file',
    kind: 'path',
    help: 'exactly the snapshot that this file attests, or nothing',
    manual: 'Exactly the snapshot that this file attests, if one of the signers signed it.',
  },
  /** The public keys that may have signed the attestation. */
  signers: {
    flag: '--signer',
    group: 'Trust',
    value: 'pub',
    kind: 'path',
    repeatable: true,
    help: 'public key that may have signed the attestation',
  },
  offline: {
    flag: '--offline',
    group: 'Network',
    kind: 'flag',
    help: 'use what is in the cache, and no network',
    manual: 'Asks nobody: what is in the cache, and nothing else.',
  },
  /** Nothing less than a judgement of now: what could only be had "offline" ends with OFFLINE. */
  strict: {
    flag: '--strict',
    group: 'Trust',
    kind: 'flag',
    help: 'end with exit code 7 instead of taking what was verified before',
    manual:
      'Nothing less than a verification of now: where what was verified before would be taken ' +
      '(“offline”), nothing is mounted or printed, and the exit code is 7.',
  },
  /** Milliseconds that a read waits without progress; default 30 s. */
  deadline: {
    flag: '--deadline',
    group: 'Network',
    value: 'seconds',
    kind: 'seconds',
    usual: 30_000,
    help: 'how long a read waits without progress',
    manual:
      'How long a read waits without progress. What fails for the moment is asked for again until then.',
  },
  /** Bytes a second, on average over each deadline, that are progress; default 1 KiB. */
  minRate: {
    flag: '--min-rate',
    group: 'Network',
    value: 'size',
    kind: 'size',
    usual: 1024,
    help: 'bytes a second that are progress, on average over each deadline',
    manual:
      'Bytes a second that are progress, on average over each deadline. A read waits as long as there is ' +
      'progress, and no longer than the deadline and the time that the promised size takes at this rate.',
  },
  followRedirects: {
    flag: '--follow-redirects',
    group: 'Network',
    kind: 'flag',
    help: 'follow up to 4 redirects of a server',
    manual: 'Follows at most 4 redirections; none otherwise.',
  },
  weakKey: {
    flag: '--weak-key',
    group: 'Trust',
    kind: 'flag',
    help: 'accept master keys below 2048 bits',
  },
  /** Inode numbers of 32 bits, kept in the state; otherwise they have 63. */
  inodes: {
    flag: '--inodes',
    value: 'bits',
    kind: 'choice',
    choices: [32, 63],
    usual: 63,
    on: ['mount'],
    help: 'bits of inode numbers: 32 for old 32-bit programs',
    manual:
      "Bits of inode numbers. A 32-bit program that was built without large-file support can't hold the " +
      'usual 63: it fails with EOVERFLOW (Value too large for defined data type) and sees empty ' +
      'directories. With 32 a name has the lower 32 bits of its number, or the next free one where these ' +
      "are another's; that is kept in the state, so that remounts agree. See OLD 32-BIT PROGRAMS.",
  },
} as const satisfies OptionRows;
