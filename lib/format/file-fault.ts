import { fromText, printable } from './bytes.js';
import { errorCode } from './errno.js';
import { machineFault, PinfsError, type ErrorCode } from './errors.js';

/** What the file system said when a file was to be read or written: why in words, and what to do. */
interface Fault {
  readonly why: string;
  readonly mend: string;
}

const other = 'Choose another place';
const faults: Readonly<Record<string, { readonly why: string; read: string; write: string }>> = {
  ENOENT: {
    why: 'there is no such file or directory',
    read: 'Look at the spelling, and at the directory that a relative path begins in.',
    write: 'Make the directory first (mkdir -p), or look at the spelling.',
  },
  EEXIST: {
    why: 'it is there already, and nothing is overwritten',
    read: 'Name another file.',
    write: 'Give another name, or take away what is there.',
  },
  EACCES: {
    why: 'permission denied',
    read: 'Its mode and owner (ls -l) let you not read it, or not go through a directory above.',
    write: `${other}, or change the mode or owner of the directory (ls -ld).`,
  },
  EPERM: {
    why: 'the system does not permit it',
    read: 'Ask who set up this machine, or run it as the owner of the file.',
    write: `${other}; this one is protected (lsattr), or its file system can't hold that.`,
  },
  ENOTDIR: {
    why: 'a part of the path is a file, not a directory',
    read: 'Look at the spelling.',
    write: `${other}, or look at the spelling.`,
  },
  EISDIR: {
    why: 'it is a directory',
    read: 'Name a file.',
    write: 'Name a file in it.',
  },
  ENOSPC: { why: 'the disk is full', read: 'Free some space.', write: `Free some space (df).` },
  EDQUOT: {
    why: 'your share of the disk is used up',
    read: 'Free some space.',
    write: 'Free some space (quota).',
  },
  EROFS: {
    why: 'the file system is read-only',
    read: 'Use another copy of it.',
    write: `${other}, on a disk that can be written to.`,
  },
  ENAMETOOLONG: {
    why: 'the name is too long for the file system',
    read: 'Look at the spelling.',
    write: 'Give a shorter name.',
  },
  ELOOP: {
    why: 'symbolic links lead in a circle',
    read: 'Name the file itself.',
    write: 'Name the file itself.',
  },
  EIO: {
    why: 'the disk fails',
    read: 'Look at the log of the system (dmesg), and use another copy.',
    write: 'Look at the log of the system (dmesg), and choose another disk.',
  },
};

/** For what has no line above. */
function unknownFault(thrown: unknown): Fault {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return { why, mend: 'Look at the file and the directories above it (ls -ld).' };
}

/** Why a file can't be read or written, with the name of the error for who looks for it, and what to do. */
export function fileFault(thrown: unknown, doing: 'read' | 'write'): Fault {
  const code = errorCode(thrown) ?? '';
  const known = faults[code];
  if (known === undefined) return unknownFault(thrown);
  return { why: `${known.why} (${code})`, mend: known[doing] };
}

/**
 * The error of a command whose file can't be read or written: what, to what, why, and what to do.
 * @param what such as `the profile`; empty where the path says all.
 */
export function fileError(
  code: ErrorCode,
  doing: 'read' | 'write',
  what: string,
  path: string,
  thrown: unknown,
): PinfsError {
  if (thrown instanceof PinfsError) return thrown;
  const machine = machineFault(thrown);
  if (machine !== undefined) return machine;
  const { why, mend } = fileFault(thrown, doing);
  const named = `${what}${what === '' ? '' : ' '}${printable(fromText(path))}`;
  return new PinfsError(code, `can't ${doing} ${named}: ${why}`, { advice: mend, cause: thrown });
}
