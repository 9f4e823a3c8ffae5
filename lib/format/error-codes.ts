import { errorsOfPublishing } from './error-codes-publish.js';
import { errorsOfPublished } from './error-codes-published.js';
import { errorsOfRevisions } from './error-codes-revisions.js';
import { withExit } from './error-words.js';

// The codes that are about a command, a server, or this machine; those about what is published have a
// file of their own. A code's place among them is its exit code.

const wrongUsage = withExit(2, {
  USAGE: {
    cause: 'An argument or option is not one, or two of them exclude each other.',
    mend: 'Read the message, then `pinfs COMMAND --help`.',
  },
  PIN_MALFORMED: {
    cause: 'What stands behind the `@` is no root hash, tag or date.',
    mend: 'Give 40 hex digits, a tag that `pinfs tags` lists, or a date such as `2015-09-30`.',
  },
  HASH_AMBIGUOUS: {
    cause: 'Several revisions have root hashes that begin with the digits that were given.',
    mend: 'Give more digits: the message has all of them.',
  },
  PROXY_MALFORMED: {
    cause:
      'A list of proxies is none, or asks for what is not supported: `auto` with no `http_proxy`, PAC files, SOCKS.',
    mend: 'Write it like `http://a:3128;http://b:3128;DIRECT`: groups, one after the other; a bar stands between those of one group.',
  },
  NOT_A_TRACE: {
    cause: 'What was given as a trace is none that pinfs wrote, nor of a format that it reads.',
    mend: 'Give a file that `pinfs mount --record` wrote; those of other tools go through `pinfs trace import`.',
  },
  KEY_MALFORMED: {
    cause:
      "A file that was given as a key can't be read, or holds no key of the kind that is needed.",
    mend: 'Give the public RSA key of the repository in PEM form (for attestations: what `pinfs key generate` made).',
  },
});

const damagedTraces = withExit(5, {
  TRACE_DAMAGED: {
    cause: 'A trace is not of the form that it should have, or holds more than pinfs reads.',
    mend: 'Record anew. What a kill cut off is no damage: such a trace is read up to there.',
  },
  TRACE_VERSION: {
    cause: 'A trace was written by a version of pinfs with another layout.',
    mend: 'Read it with that version (`pinfs trace csv`), or record anew.',
  },
});

const notReachable = withExit(4, {
  SOURCE_UNREACHABLE: {
    cause:
      "No connection could be made or kept, or the directory of the source is not there or can't be read.",
    mend: 'Check the address, the network or the disk. `--offline` shows what is in the cache.',
    errno: 'EIO',
  },
  SOURCE_TIMEOUT: {
    cause: 'Nothing came for a whole deadline, or less than the least rate.',
    mend: 'Try again. On a slow line raise `--deadline`, or lower `--min-rate`.',
    errno: 'ETIMEDOUT',
  },
  SOURCE_STATUS: {
    cause: 'The server answered with an HTTP status that is neither success nor "not there".',
    mend: 'Ask who runs the server. 429 and 5xx were asked for again before this.',
    errno: 'EIO',
  },
  SOURCE_REDIRECT: {
    cause: "The server sends on to another address, which was not allowed or can't be followed.",
    mend: 'Give the address that it leads to, or allow `--follow-redirects`.',
    errno: 'EIO',
  },
  SOURCE_ENCODING: {
    cause: 'A server or proxy compressed what it sent once more.',
    mend: 'Have that switched off for this address.',
    errno: 'EIO',
  },
  SOURCE_CHANGED: {
    cause: 'Another mirror or proxy is asked from now on: the one before failed, or answers later.',
    mend: 'Nothing, where all is read. The log names who failed, and why; `pinfs probe` tries each of them.',
  },
  SOURCE_OFFLINE: {
    cause: 'It is not in the cache, and `--offline` was given.',
    mend: 'Leave `--offline` away once, to have it fetched.',
    errno: 'EIO',
  },
  TLS_CERTIFICATE_DATE: {
    cause:
      "The certificate of an https server has expired or is not valid yet, by this machine's clock.",
    mend: 'Check the clock. If it is right, the server needs a new certificate.',
    errno: 'EIO',
  },
  TLS_NAME_MISMATCH: {
    cause: 'The certificate of an https server is for another host.',
    mend: 'Give the address under a name that the certificate has.',
    errno: 'EIO',
  },
  TLS_FAILED: {
    cause: 'No secure connection could be agreed on.',
    mend: 'Check that the server speaks https there; otherwise give an address with http.',
    errno: 'EIO',
  },
});

const cannotMount = withExit(6, {
  MOUNT_NO_DEVICE: {
    cause: '/dev/fuse is not there or does not work, or this is not little-endian Linux.',
    mend: 'As root: `modprobe fuse`. In a container: run it with `--device /dev/fuse`. `pinfs doctor` says more.',
  },
  MOUNT_NO_LIBRARY: {
    cause:
      'A package or program is lacking that the driver needs: koffi, fuse-native, libfuse 2, fusermount.',
    mend: 'Install what the message names, or use the other driver (`--driver`).',
  },
  MOUNT_NOT_PERMITTED: {
    cause: 'This user or container may not mount, or not for other users.',
    mend: 'Do what the message says: rights on /dev/fuse, fusermount3 set-uid root, `user_allow_other` in /etc/fuse.conf, `--cap-add SYS_ADMIN`, or `unshare -Urm`.',
  },
  MOUNT_FAILED: {
    cause:
      'Mounting, beginning to serve, or unmounting failed for a reason that has no code of its own.',
    mend: 'Read the message; `pinfs doctor` looks at what this machine can do.',
  },
  MOUNTPOINT_UNUSABLE: {
    cause:
      'The directory is not there, may not be used, holds another or a dead mount, or would hide the cache.',
    mend: 'Name an empty directory of your own; take a dead mount away with `fusermount3 -uz DIR`.',
  },
});

const notAsOfNow = withExit(7, {
  OFFLINE: {
    cause: 'Only what was verified before could be had, and `--strict` was given.',
    mend: 'Wait for the source, or leave `--strict` away.',
  },
});

const other = withExit(1, {
  METRICS_UNUSABLE: {
    cause: 'Metrics could not be served where `--metrics` says.',
    mend: 'Give each mount an address that nobody else has, in a directory that can be written to, or port 0.',
  },
  NOT_FOUND: {
    cause: 'There is no such path in the snapshot, or a link on the way leads out of it.',
    mend: 'Look with `pinfs ls`. On a mount it is no error of pinfs.',
    errno: 'ENOENT',
  },
  IS_DIRECTORY: {
    cause: 'A file was asked for, and a directory is there.',
    mend: 'Use `pinfs ls`, or `pinfs cp -r`.',
    errno: 'EISDIR',
  },
  NOT_DIRECTORY: {
    cause: 'A directory was asked for, and something else is there.',
    mend: 'Look at the path with `pinfs stat`.',
    errno: 'ENOTDIR',
  },
  LINK_LOOP: {
    cause: 'Symbolic links lead round in a circle. On a mount the kernel says so.',
    mend: 'Name the target itself; the publisher has to mend the links.',
    errno: 'ELOOP',
  },
  ACCESS_DENIED: {
    cause:
      "The repository asks its readers for a membership (VOMS), and pinfs can't tell who is a member.",
    mend: 'Run pinfs as root, and without `--allow-other`.',
    errno: 'EACCES',
  },
  MOUNT_BUSY: {
    cause:
      'The mount is in use, is being made or is detached already; or one with other options is there.',
    mend: 'End the processes that are named, or `pinfs umount --lazy` or `--force`.',
  },
  SETUP_REFUSED: {
    cause:
      "A file that `pinfs setup` would write or take away is somebody else's, was changed, or can't be written.",
    mend: 'Put it away, or merge by hand what `share/` of the package has.',
  },
  REPIN_REFUSED: {
    cause:
      'The mount can not go over to another snapshot: of the driver, of an attestation, or since another repository is meant.',
    mend: 'End it, and mount it anew.',
  },
  RECORDING_REFUSED: {
    cause: 'A mount is recorded already, or nothing of it is recorded that could be stopped.',
    mend: '`pinfs status` says what is recorded; `pinfs record stop DIR` ends it.',
  },
  NOT_MOUNTED: {
    cause: 'No mount of pinfs is there, or it ended meanwhile.',
    mend: '`pinfs status` lists the mounts.',
  },
  CACHE_UNUSABLE: {
    cause:
      'The directory of the cache is of another user, may be written by others, is of another version, or fails.',
    mend: 'Mend what the message names, or give another directory with `--cache`.',
    errno: 'EIO',
  },
  CACHE_FULL: {
    cause: 'The limit of the cache, or its disk, leaves no room for what is read.',
    mend: 'Raise `--cache-limit`, free some space, or give a directory on another disk with `--cache`.',
    errno: 'ENOSPC',
  },
  STATE_UNUSABLE: {
    cause:
      'The state, the place for the control socket or for the log is not safe, not writable, or of a later version.',
    mend: 'Mend the owner and mode that the message names, free some space, or use the later version; `--cache`, `--log` and XDG_RUNTIME_DIR give other places.',
  },
  MEMORY_LIMITED: {
    cause: 'This machine gives no more memory or address space.',
    mend: 'Raise the limit: `ulimit -v`, or what the batch system gives.',
    errno: 'EIO',
  },
  FILES_EXHAUSTED: {
    cause: 'This process, or this machine, may open no more files.',
    mend: 'Raise the limit: `ulimit -n 1024`, or `LimitNOFILE=` of the service; for the machine `fs.file-max`.',
    errno: 'EIO',
  },
  MODULE_UNUSABLE: {
    cause:
      'A package does not load here: not there, not built for this Node, or a library is lacking.',
    mend: '`npm ci` or `npm rebuild` in the checkout; `pinfs doctor` says more.',
  },
  TLS_AUTHORITY_UNKNOWN: {
    cause: 'No authority that this machine knows has signed the certificate of an https server.',
    mend: "Add the authority to the system's (`update-ca-certificates`), or name its file in NODE_EXTRA_CA_CERTS.",
    errno: 'EIO',
  },
  OUTPUT_FAILED: {
    cause: 'What a command prints or makes, or the trace of a driver, could not be written.',
    mend: 'Look at the disk or program that the output goes to.',
  },
  PROFILE_MALFORMED: {
    cause: 'A file that was given as a profile is none, is damaged, or of another version.',
    mend: 'Make it anew: `pinfs profile make TRACE -o FILE`.',
  },
  RESULT_MALFORMED: {
    cause: 'A file that was given as a result of `pinfs bench` is none, or of another version.',
    mend: 'Give a file that `pinfs bench -o FILE` wrote; measure anew where it is of another version.',
  },
  WORKLOAD_FAILED: {
    cause: 'The command that `pinfs bench` was to time ended with a failure.',
    mend: 'Run the command alone on a mount, and mend it first.',
  },
  INTERRUPTED: {
    cause: 'A signal ended it, or what it needs was closed meanwhile.',
    mend: 'Nothing is broken: do it again. Where a mount ends under a reader he gets EIO.',
    errno: 'EINTR',
  },
  INTERNAL: {
    cause: 'A fault of pinfs itself.',
    mend: 'Report it with the message and the log. Doing it again may help.',
    errno: 'EIO',
  },
});

/** Every code with its exit code, errno, cause, and what to do. A code without them does not compile. */
export const errorFacts = {
  ...wrongUsage,
  ...damagedTraces,
  ...errorsOfPublished,
  ...notReachable,
  ...cannotMount,
  ...notAsOfNow,
  ...other,
  ...errorsOfPublishing,
  ...errorsOfRevisions,
} as const;
