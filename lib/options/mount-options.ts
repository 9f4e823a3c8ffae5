import type { OptionRows } from './option.js';

/** Options of `pinfs mount` that are `MountOptions` in the library. */
export const mountOptionTable = {
  driver: {
    flag: '--driver',
    value: 'name',
    kind: 'choice',
    choices: ['auto', 'fuse-native', 'kernel'],
    default: 'auto',
    on: ['mount', 'bench'],
    help: 'how to speak to the kernel',
    environment: 'PINFS_DRIVER',
  },
  allowOther: {
    flag: '--allow-other',
    group: 'Access',
    kind: 'flag',
    default: false,
    help: 'let other users in, as far as the modes of the files do',
  },
  suid: {
    flag: '--suid',
    group: 'Access',
    kind: 'flag',
    default: false,
    // mount.fuse3 adds suid and dev whether or not anybody asked for them.
    fstab: 'allow_suid',
    help: 'honour set-uid bits (root only)',
  },
  dev: {
    flag: '--dev',
    group: 'Access',
    kind: 'flag',
    default: false,
    fstab: 'allow_dev',
    help: 'honour device files (root only)',
  },
  /** Bytes; 0 fetches nothing ahead. */
  ahead: {
    flag: '--ahead',
    value: 'off|size',
    kind: 'sizeOrOff',
    suggestions: ['off'],
    help: 'most that is fetched before anybody asks for it, and waits to be read (kernel driver)',
    otherwise: '16M',
    manual:
      'The most that is fetched before anybody asks for it, and waits to be read. Who reads files in order, or ' +
      'one directory after the other, gets those that follow; `off` fetches only what is asked for. Of the kernel driver.',
  },
  /** File of a profile: what it names is fetched ahead, in its order. */
  profile: {
    flag: '--profile',
    value: 'file',
    kind: 'path',
    help: 'fetch ahead what this profile says, in its order (kernel driver)',
    manual:
      'Fetches ahead what this profile of a job says, in its order, so that no more waits to be read than `--ahead` allows; ' +
      'what is wanted goes first. It is a hint: paths that are not in the tree count for nothing, and when the job goes another ' +
      'way nothing more is fetched for it. Of the kernel driver. See `pinfs profile`.',
    inUse: 'the profile',
  },
  /** Milliseconds without use after which the mount ends itself. */
  idle: {
    flag: '--idle',
    value: 'seconds',
    kind: 'seconds',
    help: 'end the mount when nobody has used it for so long',
    otherwise: 'never; of what `pinfs open` mounts 900',
    manual:
      'Ends the mount when nobody has used it for so long: no request came, and nobody has a file of it open or stands in it. ' +
      'What the kernel answers from its own memory is no request.',
  },
  noXattrs: {
    flag: '--no-xattrs',
    group: 'Access',
    kind: 'flag',
    default: false,
    help: 'no extended attributes, so that ls -l asks for none',
    manual: 'No extended attributes, so that `ls -l` asks for none.',
  },
  /** Let the kernel read large whole files of the cache itself (kernel driver, root); for few large files. */
  passthrough: {
    flag: '--passthrough',
    kind: 'flag',
    help: 'the kernel reads large cached files itself (kernel driver, root)',
  },
  /** File that the log goes to; undefined: stderr. */
  log: {
    flag: '--log',
    group: 'Log and metrics',
    value: 'file',
    kind: 'path',
    help: 'append the log to this file',
    otherwise: 'a file in the state directory; with --foreground the standard error',
    inUse: 'the log',
  },
  logLevel: {
    flag: '--log-level',
    group: 'Log and metrics',
    value: 'level',
    kind: 'choice',
    choices: ['info', 'warn', 'error'],
    usual: 'info',
    help: 'what of the log is written',
    manual:
      'What of the log is written: all (`info`), what somebody should look at (`warn`), or what failed (`error`). With `--log` ' +
      'each entry is a line of JSON, in a file that never outgrows 16 MiB; without, a line for people on the standard ' +
      'error, with its priority where that is the journal of systemd.',
  },
  /** `ADDR:PORT` or `unix:PATH`, where Prometheus asks for metrics. */
  metrics: {
    flag: '--metrics',
    group: 'Log and metrics',
    value: 'addr:port|unix:path',
    kind: 'text',
    help: 'serve metrics for Prometheus there',
    manual:
      'Serves metrics for Prometheus at <http://ADDR:PORT/metrics>, or on a socket that its owner alone can use. Port 0 ' +
      'takes a free one; the log says which. Only loopback, unless `--public` is given. Each mount needs an address of its own.',
    environment: 'PINFS_METRICS',
  },
  public: {
    flag: '--public',
    group: 'Log and metrics',
    kind: 'flag',
    fstab: 'metrics_public',
    help: 'let metrics be asked for from other machines, or by all users of a socket',
  },
  /** File that gets one line for each request (kernel driver). */
  trace: {
    flag: '--trace',
    group: 'Study',
    value: 'file',
    kind: 'path',
    fstab: false,
    help: 'one line for each request of the kernel (kernel driver)',
    inUse: 'the trace',
  },
  /** File that all accesses of objects are recorded to (docs/trace-format.md). */
  record: {
    flag: '--record',
    group: 'Study',
    value: 'file',
    kind: 'path',
    fstab: false,
    help: 'record each access of an object to this file',
    manual:
      'Records each access of an object to a file that `pinfs trace`, `replay`, `mrc` and `report` read: time, object, sizes, path, ' +
      'process, where it was found and how long that took. What the kernel answers from its own memory does not come here ' +
      '(see `--record-all`). A trace that is there is replaced, another file never. A full disk ends the recording, not the mount.',
    inUse: 'the recording',
  },
  /** File that becomes a profile of what was read, when the mount ends. */
  learn: {
    flag: '--learn',
    group: 'Study',
    value: 'file',
    kind: 'path',
    conflicts: 'record',
    fstab: false,
    help: 'write a profile of what was read when the mount ends, for --profile',
    manual:
      'Writes a profile of what was read, in the order of first use, when the mount ends; a profile that is there is replaced. ' +
      'Meanwhile accesses are recorded to FILE.trace, which goes then. See `--profile`.',
    inUse: 'the profile that is learned',
  },
  /** The kernel keeps nothing, so that each read of a process is recorded. */
  recordAll: {
    flag: '--record-all',
    group: 'Study',
    kind: 'flag',
    fstab: false,
    help: 'let the kernel keep nothing, so that every read is recorded',
    manual:
      'For study: the kernel keeps no names, attributes, listings or pages of this mount, so that every read of every process ' +
      'comes here, also when it is repeated, and can be recorded. It costs much: what was read once is read through pinfs ' +
      'again each time, and each open, stat and read(2) is a request of its own (bench/README.md has figures).',
  },
} as const satisfies OptionRows;

/** Options of `pinfs mount` that are together `protectedXattrs` in the library. */
export const protectionOptionTable = {
  protectedXattr: {
    flag: '--protected-xattr',
    group: 'Access',
    value: 'name',
    kind: 'text',
    repeatable: true,
    help: 'an attribute for some groups only',
    manual:
      'An extended attribute, by its whole name (such as `user.logbuffer`), that only processes with the ' +
      'primary group 0 or one of `--xattr-gid` may read; to all others it is not there. The fuse-native ' +
      "driver can't tell who asks, and shows it to nobody.",
  },
  xattrGid: {
    flag: '--xattr-gid',
    group: 'Access',
    value: 'gid',
    kind: 'gid',
    repeatable: true,
    help: 'a group that may read them, besides 0',
    manual:
      'A group whose processes may read the protected attributes, as those of the group 0 may.',
  },
} as const satisfies OptionRows;
