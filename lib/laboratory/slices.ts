/** Long work that can be left alone now and then: it yields how much more is done, and ends with its result. */
export type Slices<T> = Generator<number, T, void>;

/** How many accesses are played between two moments at which a program may do something else. */
export const sliceAccesses = 2 ** 18;

/** Does all of it at once. */
export function atOnce<T>(work: Slices<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}
