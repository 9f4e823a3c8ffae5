import { withExit } from './error-words.js';

// The codes that are about publishing: the storage of a repository, and what is written to it.

const input = withExit(5, {
  INPUT_UNREADABLE: {
    cause: "A file or directory of the tree that is to be published can't be read.",
    mend: 'Mend its permissions, or publish the rest with `--keep-going`.',
  },
  INPUT_CHANGED: {
    cause: 'A file of the tree that is to be published was written to each time it was read.',
    mend: 'Stop what writes to it, or publish a copy.',
  },
  ARCHIVE_MALFORMED: {
    cause:
      'An archive that is to be published is no tar archive, is cut off, or holds what no tree can have.',
    mend: 'Make it anew with `tar --create --format=pax`; unpack it and publish the directory where it is of another kind.',
  },
});

const check = withExit(5, {
  CATALOG_COUNTERS: {
    cause: 'A catalog says other numbers of files or bytes of itself than it has.',
    mend: 'Readers are not harmed. Publish anew with a sound publisher.',
  },
});

const storage = withExit(1, {
  GC_REFUSED: {
    cause: 'What is to be kept is not whole, so that nobody knows what it needs.',
    mend: 'Bring it back with `pinfs repo repair --from`, then collect again.',
  },
  STORAGE_FAILED: {
    cause: 'The storage of a repository could not be read or written.',
    mend: 'Mend what the message names, and do it again. What was published before is whole and served.',
  },
  STORAGE_BUSY: {
    cause: 'Somebody else is writing to the storage of the repository.',
    mend: 'Wait for that to end, and do it again.',
  },
  STORAGE_UNSAFE: {
    cause:
      'The S3 server does not know If-None-Match, so that two publishers would not see each other.',
    mend: 'Use a server that does, or a directory.',
  },
  REPOSITORY_EXISTS: {
    cause: 'There is a repository in the storage already.',
    mend: 'Publish to it (`pinfs publish`), or name another storage.',
  },
});

/** Of publishing. */
export const errorsOfPublishing = { ...input, ...check, ...storage } as const;
