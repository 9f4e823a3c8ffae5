import { PinfsError } from '../format/errors.js';
import type { Demand, Urgency } from '../source/http/demand.js';
import { beginWait, type Wait } from '../source/wait.js';

/** A wait that begins now. */
export function waitOf(deadline: number, minRate = 1024): Wait {
  return beginWait({ deadline, minRate }, performance.now());
}

/** What the store does where nothing comes: it ends with the wait. */
export function nothingComes(wait: Wait | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (wait === undefined) return;
    setTimeout(() => {
      reject(new PinfsError('SOURCE_TIMEOUT', 'nothing came', { passing: true }));
    }, wait.end - performance.now());
  });
}

/** What is wanted of a transfer, as a test says; and what was heard of it. */
export interface SteeredDemand extends Demand {
  urgency: Urgency;
  persistent: boolean;
  received: number;
  readonly troubles: PinfsError[];
  urge(urgency: Urgency): void;
}

export function steeredDemand(urgency: Urgency = 'wanted'): SteeredDemand {
  const watchers = new Set<() => void>();
  return {
    urgency,
    persistent: true,
    received: 0,
    troubles: [],
    watch(changed) {
      watchers.add(changed);
      return () => void watchers.delete(changed);
    },
    came(bytes) {
      this.received += bytes;
    },
    failed(error) {
      this.troubles.push(error);
    },
    urge(next) {
      this.urgency = next;
      for (const changed of watchers) changed();
    },
  };
}
