/**
 * Whether to look at the device again at once rather than to sleep. Waking a thread on another CPU takes
 * 20 to 50 µs in a virtual machine, longer than a client usually takes between two requests. So who
 * serves a busy client goes on looking for that long; who serves a quiet one sleeps at once.
 */
export interface Spin {
  /**
   * Nothing is to be done: whether to look again instead of sleeping. `due`: the next request is known to
   * come at once. `now` in milliseconds, as in all of these.
   */
  again(now: number, due: boolean): boolean;
  /** Something came. */
  came(now: number): void;
}

/** As long as waking up takes, or somewhat longer (ms). */
const spinMsMax = 0.06;
/** What is due comes as soon as the client has taken in a page of a listing. */
const dueMsMax = 0.2;
/** So many requests in a row have to come that soon before it is worth it. */
const creditToSpin = 4;
const creditMax = 16;
/** So much a look that was in vain counts against it. */
const creditLost = 2;

export function openSpin(): Spin {
  let idleSince = NaN;
  let credit = 0;
  return {
    again(now, due) {
      if (Number.isNaN(idleSince)) idleSince = now;
      const waited = now - idleSince;
      return due ? waited < dueMsMax : credit >= creditToSpin && waited < spinMsMax;
    },
    came(now) {
      if (Number.isNaN(idleSince)) return;
      const waited = now - idleSince;
      idleSince = NaN;
      // What was slept for came later by the time that waking up takes: hence twice.
      if (waited >= 2 * spinMsMax) credit = 0;
      else if (waited < spinMsMax || credit < creditToSpin)
        credit = Math.min(creditMax, credit + 1);
      else credit -= creditLost;
    },
  };
}
