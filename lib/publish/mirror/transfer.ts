import { asPinfsError, type PinfsError } from '../../format/errors.js';
import { objectPath } from '../../format/hash.js';
import type { Want } from '../../store/want.js';
import type { RepositoryProblem } from '../repository/walk.js';
import { bring, put, type Porter } from './bring.js';
import { bottomUp, contentOf, type MirrorPlan } from './plan.js';

export interface Transferred {
  readonly problems: readonly RepositoryProblem[];
  /** Why not everything was asked for. */
  readonly endedEarly: string | undefined;
}

interface Work {
  readonly porter: Porter;
  readonly problems: RepositoryProblem[];
  /** Nothing more is begun. */
  endedBy: PinfsError | undefined;
  /** Requests that the source did not answer, one after the other. */
  silent: number;
}

// A source that fails so often is not asked for all the others as well.
const silentMax = 3;

/**
 * Brings what a plan has: content, and each catalog when all that it reaches is there. After a problem no catalog is
 * written any more, since it might reach what is lacking; content goes on, for the next time.
 * @throws PinfsError STORAGE_FAILED, INTERRUPTED
 */
export async function transfer(
  porter: Porter,
  plan: MirrorPlan,
  jobs: number,
  progress: (done: { readonly objects: number; readonly bytes: number }) => void,
): Promise<Transferred> {
  const work: Work = { porter, problems: [...plan.problems], endedBy: undefined, silent: 0 };
  const done = { objects: 0, bytes: 0 };
  const under = new Set<Promise<void>>();
  let catalogs: Promise<unknown> = Promise.resolve();
  for (const catalog of bottomUp(plan.roots)) {
    for await (const want of contentOf(catalog)) {
      if (work.endedBy !== undefined) break;
      if (!plan.todo.delete(objectPath(want.object))) continue;
      const bringing = bringOne(work, want).finally(() => {
        under.delete(bringing);
        done.objects += 1;
        done.bytes += want.size.bytes;
        progress(done);
      });
      under.add(bringing);
      if (under.size >= jobs) await Promise.race(under);
    }
    // All of its content was begun, and what is still under way is among these.
    const last = [...under];
    catalogs = catalogs.then(async () => {
      await Promise.all(last);
      if (work.problems.length > 0 || work.endedBy !== undefined) return;
      const { want, file, size } = catalog;
      await put(porter, want.object, { file, size }).catch((thrown: unknown) => {
        work.endedBy = asPinfsError(thrown);
      });
    });
  }
  await Promise.all(under);
  await catalogs;
  if (work.endedBy !== undefined && !isOfSource(work.endedBy)) throw work.endedBy;
  return { problems: work.problems, endedEarly: work.endedBy?.message };
}

/** Never rejects: what is wrong is noted. */
async function bringOne(work: Work, want: Want): Promise<void> {
  try {
    await bring(work.porter, want);
    work.silent = 0;
  } catch (thrown) {
    const error = asPinfsError(thrown);
    const { code, message } = error;
    if (!code.startsWith('OBJECT_') && !isOfSource(error)) {
      work.endedBy ??= error;
      return;
    }
    work.problems.push({ what: objectPath(want.object), code, message });
    work.silent = isOfSource(error) ? work.silent + 1 : 0;
    if (work.silent >= silentMax) work.endedBy ??= error;
  }
}

function isOfSource({ exit }: PinfsError): boolean {
  return exit === 4;
}
