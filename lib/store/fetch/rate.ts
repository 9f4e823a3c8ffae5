/** How fast a line has been of late, from what came over it. */
export interface LineRate {
  came(bytes: number, now: number): void;
  /** Bytes a millisecond; 0 as long as nothing is known. */
  readonly bytesPerMs: number;
}

// Over so long it is measured (ms); a longer silence is no slowness: nothing was asked for.
const spanMs = 50;
const silenceMsMax = 200;
// What is found weighs so much against what was known.
const newShare = 0.5;

export function openLineRate(): LineRate {
  let begun = 0;
  let last = -Infinity;
  let bytesOfSpan = 0;
  let bytesPerMs = 0;
  return {
    get bytesPerMs() {
      return bytesPerMs;
    },
    came(bytes, now) {
      if (now - last > silenceMsMax) [begun, bytesOfSpan] = [now, 0];
      last = now;
      bytesOfSpan += bytes;
      const span = now - begun;
      if (span < spanMs) return;
      const found = bytesOfSpan / span;
      bytesPerMs = bytesPerMs === 0 ? found : bytesPerMs + (found - bytesPerMs) * newShare;
      [begun, bytesOfSpan] = [now, 0];
    },
  };
}
