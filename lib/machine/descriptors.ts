import { closeSync, openSync } from 'node:fs';
import { errorCode } from '../format/errno.js';
import { machineFault, type PinfsError } from '../format/errors.js';

/** Errors that libraries give where they could open no file, whatever the reason was. */
const vague = /^(?:SQLITE_CANTOPEN|SQLITE_IOERR|EAI_|ENOTFOUND$)/;

/**
 * The fault of this machine behind an error; undefined: it is another one. SQLite and the resolver of host
 * names do not say that they had no descriptor, so it is tried whether there is one.
 */
export function faultBehind(thrown: unknown): PinfsError | undefined {
  const known = machineFault(thrown);
  if (known !== undefined) return known;
  return vague.test(errorCode(thrown) ?? '') ? noDescriptor() : undefined;
}

function noDescriptor(): PinfsError | undefined {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return undefined;
  } catch (thrown) {
    return machineFault(thrown);
  }
}
