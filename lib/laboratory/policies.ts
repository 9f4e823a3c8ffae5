import { arc } from './policies/arc.js';
import { belady } from './policies/belady.js';
import { clock } from './policies/clock.js';
import { fifo } from './policies/fifo.js';
import { lfu } from './policies/lfu.js';
import { lru } from './policies/lru.js';
import { pinfs } from './policies/pinfs.js';
import { s3fifo } from './policies/s3fifo.js';
import { sieve } from './policies/sieve.js';
import { twoQueues } from './policies/two-queues.js';
import type { OpenPolicy } from './policy.js';

/** All policies by the names that they have on the command line. */
export const policies = {
  lru,
  fifo,
  clock,
  sieve,
  s3fifo,
  lfu,
  arc,
  '2q': twoQueues,
  belady,
  pinfs,
} as const satisfies Readonly<Record<string, OpenPolicy>>;

export type PolicyName = keyof typeof policies;

export const policyNames = Object.keys(policies) as PolicyName[];

export function isPolicyName(name: string): name is PolicyName {
  return Object.hasOwn(policies, name);
}
