import { withExit } from './error-words.js';

// The codes that are about publishing: the storage of a repository, and what is written to it.

/** Exit code 1. */
export const errorsOfPublishing = withExit(1, {
  STORAGE_FAILED: {
    cause: 'The storage of a repository could not be read or written.',
    mend: 'Mend what the message names, and do it again. What was published before is whole and served.',
  },
  STORAGE_BUSY: {
    cause: 'Somebody else is writing to the storage of the repository.',
    mend: 'Wait for that to end, and do it again.',
  },
});
