import { readGiven } from '../../files/given.js';
import { fileFault } from '../../format/file-fault.js';
import { PinfsError } from '../../format/errors.js';
import { parseIdMap } from '../../format/id-map.js';
import type { IdMap, TreeOptions } from '../../tree/tree.js';
import type { ShownFiles } from './options.js';

const mapBytesMax = 1024 * 1024;

/** How a site wants owners and modes to be shown. @throws PinfsError USAGE: a map can't be read, or a line of it is none */
export function shownAttributes(files: ShownFiles | undefined): Pick<TreeOptions, 'shown'> {
  if (files === undefined) return {};
  const { uidMap, gidMap, worldReadable } = files;
  return {
    shown: {
      ...(uidMap === undefined ? {} : { uids: readMap('CVMFS_UID_MAP', uidMap) }),
      ...(gidMap === undefined ? {} : { gids: readMap('CVMFS_GID_MAP', gidMap) }),
      ...(worldReadable === undefined ? {} : { worldReadable }),
    },
  };
}

function readMap(name: string, path: string): IdMap {
  const map = parseIdMap(textOf(name, path));
  if (!('line' in map)) return map;
  throw new PinfsError('USAGE', `${name}: ${path}:${map.line} is no line of a map`, {
    advice: "A line has two numbers, the published one and the one that is shown, or '*' and one.",
  });
}

function textOf(name: string, path: string): string {
  try {
    return readGiven(path, mapBytesMax).toString('latin1');
  } catch (thrown) {
    throw new PinfsError('USAGE', `${name}: ${path}: ${fileFault(thrown, 'read').why}`, {
      advice: 'Mend the file, or leave the parameter out with --set.',
    });
  }
}
