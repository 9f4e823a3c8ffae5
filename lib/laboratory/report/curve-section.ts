import { formatSize } from '../../format/size-text.js';
import { policies, type PolicyName } from '../policies.js';
import { replayInSlices } from '../replay.js';
import { footprintOf, type RequestSequence } from '../requests.js';
import { sampledRequests } from '../sample.js';
import type { Slices } from '../slices.js';
import { shareText } from './numbers.js';
import type { Section } from './report.js';

const drawn: readonly PolicyName[] = ['pinfs', 'lru', 'sieve', 's3fifo', 'arc', 'belady'];
const sizesDrawn = 14;
// With more accesses, miniature caches over a sample of the objects stand for the whole ones.
const accessesWhole = 200_000;

/** How many accesses will be played for it, about. */
export function curveAccesses(accesses: number): number {
  return drawn.length * sizesDrawn * Math.min(accessesWhole, accesses);
}

/**
 * What caches of other sizes and policies would have missed of some traces.
 * @param limits of the caches in which they were recorded (bytes).
 */
export function* curveSection(
  requests: RequestSequence,
  limits: readonly number[],
): Slices<Section> {
  const rate = Math.min(1, accessesWhole / requests.objects.length);
  const sample = rate === 1 ? requests : sampledRequests(requests, rate);
  const { bytes, objects } = footprintOf(requests);
  const sizes = sizesFor(bytes, objects, limits);
  const rows: { readonly policy: PolicyName; readonly size: number; readonly misses: number }[] =
    [];
  for (const policy of drawn) {
    for (const size of sizes) {
      const how = { open: policies[policy], capacity: size * rate };
      const { hits, accesses } = yield* replayInSlices(sample, how);
      rows.push({ policy, size, misses: accesses === 0 ? 0 : 1 - hits / accesses });
      yield sample.objects.length;
    }
  }
  const missesOf = (policy: PolicyName, size: number): number =>
    rows.find((row) => row.policy === policy && row.size === size)?.misses ?? NaN;
  const present = limits.filter((limit) => limit <= 2 * bytes);
  return {
    id: 'curves',
    title: 'Misses by limit and policy',
    text: `What share of uses a cache of each limit would miss under each policy, from replaying the trace${rate < 1 ? ` (a sample of ${shareText(rate)} of the objects, and caches as much smaller)` : ''}. pinfs is the cache's own policy; belady knows the future, and is by bytes only an estimate of the best.${limitsText(limits, bytes)}`,
    chart: {
      kind: 'lines',
      x: { label: 'limit of the cache', unit: 'bytes', isLogarithmic: true },
      y: { label: 'misses', unit: 'share' },
      marked: present.map((x) => ({ x, text: `present limit ${formatSize(x)}` })),
      data: rows.map(({ policy, size, misses }) => ({
        x: size,
        y: misses,
        series: policy,
        text: `${policy}, ${formatSize(size)}: ${shareText(misses)} misses`,
      })),
    },
    table: {
      head: ['limit', ...drawn],
      rows: sizes.map((size) => [
        formatSize(size),
        ...drawn.map((policy) => shareText(missesOf(policy, size))),
      ]),
    },
  };
}

function limitsText(limits: readonly number[], footprint: number): string {
  const [limit] = limits;
  if (limit === undefined) return '';
  const text = ` The present limit is ${formatSize(limit)}`;
  return limit > 2 * footprint
    ? `${text}, more than all that was used (${formatSize(footprint)}).`
    : `${text}.`;
}

/** From a 64th of all that is used to a little more than all of it, and the present limits. */
function sizesFor(bytes: number, objects: number, limits: readonly number[]): number[] {
  const most = 1.2 * bytes + 4096 * objects + 2 * 1024 * 1024;
  const least = Math.max(64 * 1024, most / 64);
  const steps = sizesDrawn - Math.min(1, limits.length);
  const sizes = Array.from({ length: steps }, (_, step) =>
    Math.round(least * (most / least) ** (step / (steps - 1))),
  );
  const present = limits.filter((limit) => limit > least && limit < most).slice(0, 1);
  return [...new Set([...sizes, ...present])].sort((one, other) => one - other);
}
