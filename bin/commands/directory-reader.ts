import { printableText } from '../../lib/format/bytes.js';
import type { PinfsError } from '../../lib/format/errors.js';
import type { Entry } from '../../lib/tree/entry.js';
import { openCatalogsAhead, type CatalogsAhead } from '../../lib/repository/use/catalogs-ahead.js';
import { list } from '../../lib/repository/use/path.js';
import { openWalkFailures, type WalkFailures } from '../../lib/repository/use/walk-failures.js';
import type { Repository } from '../../lib/repository/repository.js';
import { noteExit } from './failures.js';

/** What could be read of a directory, and why that is not all of it. */
export interface DirectoryRead {
  readonly entries: Entry[];
  readonly error: PinfsError | undefined;
}

// Where nothing can be fetched, that is so for each catalog that is not here.
const mostTold = 10;

/**
 * Reads the directories below one as find(1) does: one that can't be read is told, the rest is shown,
 * and the exit code says it.
 */
export class DirectoryReader {
  readonly #repository: Repository;
  readonly #start: Entry;
  readonly #failures: WalkFailures;
  /** Undefined: one directory is read, and none below it. */
  readonly #ahead: CatalogsAhead | undefined;
  readonly #advised = new Set<string>();
  #unreachable = 0;

  constructor(repository: Repository, start: Entry, isRecursive: boolean) {
    this.#repository = repository;
    this.#start = start;
    this.#failures = openWalkFailures(repository.store);
    this.#ahead = isRecursive ? openCatalogsAhead(repository, start) : undefined;
  }

  /** @throws PinfsError where there is nothing to go on with. */
  async read(directory: Entry): Promise<DirectoryRead> {
    const entries: Entry[] = [];
    try {
      for await (const attributes of list(this.#repository, directory)) entries.push(attributes);
      this.#ahead?.entered(directory);
      return { entries, error: undefined };
    } catch (thrown) {
      if (directory === this.#start) throw thrown;
      const error = this.#failures.orEnd(thrown);
      noteExit(error.exit);
      return { entries, error };
    }
  }

  /** Tells people of a directory; of those that are not reachable, not of all. */
  tell(error: PinfsError): void {
    if (error.exit === 4 && ++this.#unreachable > mostTold) return;
    process.stderr.write(`pinfs: ${printableText(error.message)} [${error.code}]\n`);
    if (error.advice === undefined || this.#advised.has(error.code)) return;
    this.#advised.add(error.code);
    process.stderr.write(`  ${printableText(error.advice)}\n`);
  }

  /** Tells of how many was not told. */
  end(): void {
    this.#ahead?.end();
    const untold = this.#unreachable - mostTold;
    if (untold > 0) process.stderr.write(`pinfs: ${untold} more directories are not reachable\n`);
  }
}
