import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { readGiven } from '../files/given.js';
import { fileError } from '../format/file-fault.js';
import { decodeProfile } from './decode-profile.js';
import { encodeProfile } from './encode-profile.js';
import { profileBounds, type Profile } from './profile.js';

/** The profile in a file that somebody named. @throws PinfsError NOT_FOUND, PROFILE_MALFORMED */
export function readProfileFile(path: string): Profile {
  let bytes: Buffer;
  try {
    bytes = readGiven(path, profileBounds.storedBytes);
  } catch (thrown) {
    throw fileError('NOT_FOUND', 'read', 'the profile', path, thrown);
  }
  return decodeProfile(bytes);
}

/**
 * Writes a profile beside the file and then in its place: who reads meanwhile has the old one or the new one.
 * @returns the bytes of the file. @throws PinfsError OUTPUT_FAILED, USAGE (too many objects)
 */
export function writeProfileFile(path: string, profile: Profile): number {
  const bytes = encodeProfile(profile);
  const beside = `${path}.new-${process.pid}`;
  try {
    writeFileSync(beside, bytes, { flag: 'wx' });
    renameSync(beside, path);
  } catch (thrown) {
    rmSync(beside, { force: true });
    throw fileError('OUTPUT_FAILED', 'write', 'the profile', path, thrown);
  }
  return bytes.length;
}
