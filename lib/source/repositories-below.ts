import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fromBytes, type ByteString } from '../format/bytes.js';
import { parseManifest } from '../format/manifest.js';
import { PinfsError } from '../format/errors.js';

/** What a directory has to serve. */
export interface RepositoriesBelow {
  /** Where each repository lies below the address of the server, without a slash at either end. */
  readonly repositories: readonly ByteString[];
  /** The directory is this repository itself, and is served below its name. */
  readonly itself?: ByteString;
}

const manifestName = '.cvmfspublished';
// A manifest has some hundred bytes; what is larger is none.
const manifestBytesMax = 1 << 20;
// Repositories lie in the directory, or one below it, as in `cvmfs/` of a web server.
const levels = 2;
// Looked at in all; a directory that holds more is none of repositories.
const directoriesMax = 10_000;

/** Looks for repositories: in a directory, below it, or whether it is one itself. */
export function findRepositories(root: Buffer): RepositoriesBelow {
  if (hasManifest(root)) {
    const itself = nameOf(root);
    return { repositories: [itself], itself };
  }
  const found: ByteString[] = [];
  let looked = 0;
  const look = (directory: Buffer, below: ByteString, level: number): void => {
    for (const name of directoriesOf(directory)) {
      if (++looked > directoriesMax) return;
      const path = Buffer.concat([directory, Buffer.from('/'), name]);
      const shown = below + fromBytes(name);
      if (hasManifest(path)) found.push(shown);
      else if (level < levels) look(path, `${shown}/`, level + 1);
    }
  };
  look(root, '', 1);
  return { repositories: found.sort() };
}

function hasManifest(directory: Buffer): boolean {
  try {
    return statSync(inside(directory)).isFile();
  } catch {
    return false;
  }
}

/** The name that the publisher gave it; of an old one that has none, and of what is no manifest, that of the directory. */
function nameOf(directory: Buffer): ByteString {
  const ownName = fromBytes(directory.subarray(directory.lastIndexOf('/') + 1));
  try {
    const path = inside(directory);
    if (statSync(path).size > manifestBytesMax) return ownName;
    const manifest = parseManifest(readFileSync(path));
    const name = manifest instanceof PinfsError ? undefined : manifest.name;
    return name !== undefined && /^[\w.-]+$/.test(name) ? name : ownName;
  } catch {
    return ownName;
  }
}

function inside(directory: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from(`/${manifestName}`)]);
}

/** Those that are there and can be looked into; links to others count. */
function directoriesOf(directory: Buffer): Buffer[] {
  try {
    return readdirSync(directory, { encoding: 'buffer', withFileTypes: true })
      .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}
