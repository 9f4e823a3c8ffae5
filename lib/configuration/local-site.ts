import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { randomInt } from 'node:crypto';
import { readGiven } from '../files/given.js';
import { errorCode } from '../format/errno.js';
import { configurationBytesMax } from './shell/bounds.js';
import type { FileFacts } from './shell/state.js';
import { Refused } from './shell/syntax.js';
import type { Site } from './layers.js';

type Variables = Readonly<Record<string, string | undefined>>;

/** The configuration as it lies on this machine, and what its files may ask about this machine. */
export function localSite(directory: string, environment: Variables): Site {
  return {
    directory,
    environment,
    given: new Map(),
    random: () => randomInt(32768),
    processId: process.pid,
    hostName: hostname(),
    userId: process.getuid?.() ?? 0,
    read: readLocal,
    look: lookAtLocal,
    list: listLocal,
  };
}

const codesOfNothing: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR']);

/** @throws Refused */
function readLocal(path: string): Buffer | undefined {
  try {
    return readGiven(path, configurationBytesMax);
  } catch (thrown) {
    if (codesOfNothing.has(errorCode(thrown))) return undefined;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Refused(`it can't be read: ${reason}`, 'Mend its rights, or take it away.', 1);
  }
}

function lookAtLocal(path: string): FileFacts | undefined {
  try {
    const status = statSync(path);
    const kind = status.isFile() ? 'file' : status.isDirectory() ? 'directory' : 'other';
    return { kind, bytes: status.size, readable: isReadable(path) };
  } catch {
    return undefined;
  }
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function listLocal(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
