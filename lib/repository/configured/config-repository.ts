import { asPinfsError, PinfsError } from '../../format/errors.js';
import { fromText, toBytes } from '../../format/bytes.js';
import { configurationBytesMax, filesMax } from '../../configuration/shell/bounds.js';
import type { FileFacts } from '../../configuration/shell/state.js';
import type { Entry } from '../../tree/entry.js';
import type { Repository } from '../repository.js';
import { list, readRange, walk } from '../use/path.js';

/** What lies at a path of the config repository. */
interface LoadedFile {
  /** Undefined: nothing. */
  readonly facts?: FileFacts;
  /** Of a file. */
  readonly bytes?: Buffer;
  /** Of a directory: what is in it. */
  readonly names?: readonly string[];
}

/** The repository in which a site's files lie. */
export interface ConfigRepository {
  readonly fqrn: string;
  /** What was loaded before. @throws NotLoaded */
  loaded(path: string): LoadedFile;
  /** @throws PinfsError: it can't be had. That nothing lies there is an answer. */
  load(path: string): Promise<LoadedFile>;
  close(): Promise<void>;
}

/** Runs what waits for nothing: what lacks is loaded, and it begins again. @throws PinfsError */
export async function withLoaded<Result>(
  repository: ConfigRepository,
  body: () => Result,
): Promise<Result> {
  for (let tries = 0; tries <= filesMax; tries += 1) {
    try {
      return body();
    } catch (thrown) {
      if (!(thrown instanceof NotLoaded)) throw thrown;
      await repository.load(thrown.path);
    }
  }
  throw new PinfsError('USAGE', `the config repository leads to more than ${filesMax} files`, {
    advice: 'Leave it out with --set CVMFS_CONFIG_REPOSITORY=',
  });
}

/** Asks for a path that was not loaded yet. */
class NotLoaded extends Error {
  readonly path: string;

  constructor(path: string) {
    super(`${path} is not loaded`);
    this.path = path;
  }
}

const namesMax = 1000;

export function configRepositoryOf(repository: Repository): ConfigRepository {
  const files = new Map<string, LoadedFile>();
  return {
    fqrn: repository.fqrn,
    loaded(path) {
      const file = files.get(path);
      if (file === undefined) throw new NotLoaded(path);
      return file;
    },
    async load(path) {
      const file = files.get(path) ?? (await loadFile(repository, path));
      files.set(path, file);
      return file;
    },
    close: () => repository.close(),
  };
}

async function entryAt(repository: Repository, path: string): Promise<Entry | undefined> {
  try {
    return await walk(repository, fromText(path), true);
  } catch (thrown) {
    const error = asPinfsError(thrown);
    if (error.code === 'NOT_FOUND' || error.code === 'NOT_DIRECTORY') return undefined;
    throw error;
  }
}

async function loadFile(repository: Repository, path: string): Promise<LoadedFile> {
  const entry = await entryAt(repository, path);
  if (entry === undefined) return {};
  const { type, size } = entry;
  const kind = type === 'file' || type === 'directory' ? type : 'other';
  const facts: FileFacts = { kind, bytes: size, readable: true };
  if (kind === 'directory') return { facts, names: await namesIn(repository, entry) };
  if (kind !== 'file') return { facts };
  if (size > configurationBytesMax) {
    const message = `${path} of ${repository.fqrn} is too large to be read as configuration`;
    throw new PinfsError('USAGE', message);
  }
  const pieces: Buffer[] = [];
  for await (const piece of readRange(repository, entry)) pieces.push(piece);
  return { facts, bytes: Buffer.concat(pieces) };
}

async function namesIn(repository: Repository, directory: Entry): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of list(repository, directory)) {
    names.push(toBytes(name).toString('utf8'));
    if (names.length >= namesMax) break;
  }
  return names;
}
