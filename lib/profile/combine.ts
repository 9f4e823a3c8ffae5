import { PinfsError } from '../format/errors.js';
import { profileBounds, type FirstUse, type Profile, type ProfileHeader } from './profile.js';

/** What tells one use from another: the object's place, whatever lies there. */
function useKey({ path, kind, chunk }: FirstUse): string {
  return `${kind} ${chunk} ${path}`;
}

interface Placed {
  use: FirstUse;
  /** Milliseconds since the begin, summed over the profiles that have it. */
  sum: number;
  count: number;
}

/**
 * What any of several jobs reads, at the mean of the times at which those that read it did; fingerprints are those of the
 * last one.
 * @throws PinfsError USAGE: they are of different repositories, or there are too many uses.
 */
export function mergeProfiles(
  profiles: readonly Profile[],
  facts: Pick<ProfileHeader, 'made' | 'writer'>,
): Profile {
  const last = profiles.at(-1);
  if (last === undefined) throw new PinfsError('USAGE', 'no profile is given');
  const { repository, rootHash } = last.header;
  const other = profiles.find(({ header }) => header.repository !== repository);
  if (other !== undefined) {
    throw new PinfsError('USAGE', 'profiles of different repositories can not be merged');
  }
  const placed = new Map<string, Placed>();
  for (const { uses } of profiles) {
    let time = 0;
    for (const use of uses) {
      time += use.gapMs;
      const known = placed.get(useKey(use));
      if (known === undefined) placed.set(useKey(use), { use, sum: time, count: 1 });
      else Object.assign(known, { use, sum: known.sum + time, count: known.count + 1 });
    }
  }
  if (placed.size > profileBounds.uses) {
    throw new PinfsError('USAGE', `a profile has at most ${profileBounds.uses} objects`);
  }
  let before = 0;
  const uses = [...placed.values()]
    .sort((a, b) => a.sum / a.count - b.sum / b.count)
    .map(({ use, sum, count }) => {
      const time = Math.round(sum / count);
      const gapMs = Math.max(0, time - before);
      before = time;
      return { ...use, gapMs };
    });
  return { header: { repository, rootHash, ...facts }, uses };
}

export interface ProfileDifference {
  readonly onlyFirst: readonly FirstUse[];
  readonly onlySecond: readonly FirstUse[];
  /** At the same path, with other content. */
  readonly changed: readonly FirstUse[];
  readonly same: number;
  /** Of what both have: how much of it comes in the same order (0 to 1), by neighbours. */
  readonly sameOrder: number;
}

export function diffProfiles(first: Profile, second: Profile): ProfileDifference {
  const [one, other] = [first, second].map(
    ({ uses }) => new Map(uses.map((use) => [useKey(use), use])),
  );
  const inOne = (use: FirstUse): FirstUse | undefined => one?.get(useKey(use));
  const both = second.uses.filter((use) => inOne(use) !== undefined);
  const changed = both.filter((use) => inOne(use)?.fingerprint !== use.fingerprint);
  return {
    onlyFirst: first.uses.filter((use) => other?.has(useKey(use)) !== true),
    onlySecond: second.uses.filter((use) => inOne(use) === undefined),
    changed,
    same: both.length - changed.length,
    sameOrder: orderShare(first.uses, both),
  };
}

/** The share of neighbours in the second that come in this order in the first as well. */
function orderShare(first: readonly FirstUse[], both: readonly FirstUse[]): number {
  if (both.length < 2) return 1;
  const place = new Map(first.map((use, index) => [useKey(use), index]));
  const places = both.map((use) => place.get(useKey(use)) ?? 0);
  const kept = places.filter((at, index) => index > 0 && at > (places[index - 1] ?? 0)).length;
  return kept / (both.length - 1);
}
