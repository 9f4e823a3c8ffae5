import { join } from 'node:path';
import { isRepositoryName } from '../../format/names.js';
import { PinfsError } from '../../format/errors.js';
import { openSeen } from './seen.js';
import { listState } from './state-files.js';

/** What is known in a state directory to have these root hashes: `FQRN` for a head, `FQRN@TAG`. What can't be read is left out. */
export function namesOfRoots(state: string): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>();
  const note = (rootHash: string, name: string): void => {
    names.set(rootHash, [...(names.get(rootHash) ?? []), name]);
  };
  try {
    for (const fqrn of listState(join(state, 'seen')).filter(isRepositoryName)) {
      const known = openSeen(state, () => true).get(fqrn);
      if (known?.head !== undefined) note(known.head.rootHash, fqrn);
      for (const { name, rootHash } of known?.tags.values() ?? [])
        note(rootHash, `${fqrn}@${name}`);
    }
  } catch (thrown) {
    // They are for people.
    if (!(thrown instanceof PinfsError)) throw thrown;
  }
  return names;
}
