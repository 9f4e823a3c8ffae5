import { withExit } from './error-words.js';

// The codes that are about a new revision: what is to be published, and under which name.

/** Exit code 1. */
export const errorsOfRevisions = withExit(1, {
  PUBLISH_PATH: {
    cause: 'Something can not stand in a repository where it is to be put.',
    mend: 'Change the tree, or publish it at another path (`--at`).',
  },
  DIRTAB_MALFORMED: {
    cause: 'The file `.cvmfsdirtab` in the root of the repository breaks the rules of such files.',
    mend: 'Mend the line that the message names.',
  },
  TAG_REFUSED: {
    cause: 'A tag can not have this name, or has it already: names never move to another snapshot.',
    mend: 'Take another name.',
  },
  REPOSITORY_MISSING: {
    cause: 'There is no repository in the storage, or it has another name.',
    mend: 'Make it with `pinfs repo create`, or look at `--storage`.',
  },
  SIGNING_KEY: {
    cause:
      'The signing key can not be read, or is not the one of the certificate that signs the repository.',
    mend: 'Give the key with `--signing-key`; a new one is made with `pinfs repo rotate-key`.',
  },
  REFLOG_MALFORMED: {
    cause: 'The file `.cvmfsreflog` in the storage of a repository is no reflog.',
    mend: 'Bring it back from another copy; it lists what `pinfs repo gc` may look at.',
  },
});
