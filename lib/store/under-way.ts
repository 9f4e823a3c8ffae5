/**
 * What is under way, one for each key however many ask. What was given up may take a while to end: another may have
 * taken its key by then, which its end must not touch.
 */
export interface UnderWay<F> {
  get(key: string): F | undefined;
  begin(key: string, flight: F): void;
  /** Whether this is the one of its key, and no other has taken its place. */
  isCurrent(key: string, flight: F): boolean;
  /** It ended or was given up: whoever asks from now on begins another. */
  end(key: string, flight: F): void;
  /** Those of now: what is begun or ended meanwhile changes nothing in it. */
  all(): readonly F[];
  /** Ends them all, and gives them back. */
  endAll(): readonly F[];
}

export function openUnderWay<F>(): UnderWay<F> {
  const flights = new Map<string, F>();
  const isCurrent = (key: string, flight: F): boolean => flights.get(key) === flight;
  return {
    get: (key) => flights.get(key),
    begin: (key, flight) => void flights.set(key, flight),
    isCurrent,
    end(key, flight) {
      if (isCurrent(key, flight)) flights.delete(key);
    },
    all: () => [...flights.values()],
    endAll() {
      const ended = [...flights.values()];
      flights.clear();
      return ended;
    },
  };
}
