/** Bounds how many things are under way at once; those that wait are served in the order in which they came. */
export interface Slots {
  /** @returns a function that gives the slot back. */
  take(): Promise<() => void>;
  /** Until a slot can be had with no waiting. */
  quiet(): Promise<void>;
}

export function makeSlots(most: number): Slots {
  let taken = 0;
  const waiting: (() => void)[] = [];
  const take = async (): Promise<() => void> => {
    if (taken >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else taken++;
    let isBack = false;
    return () => {
      if (isBack) return;
      isBack = true;
      // The next one in the row has it now.
      const next = waiting.shift();
      if (next === undefined) taken--;
      else next();
    };
  };
  return {
    take,
    async quiet() {
      (await take())();
    },
  };
}
