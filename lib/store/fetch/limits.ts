import type { FlightLimits } from './places.js';

/* How much the store fetches at once. */

export const flightLimits: FlightLimits = {
  atOnce: 16,
  lightPlaces: 4,
  lightWeight: 2 * 1024 * 1024,
  weight: 512 * 1024 * 1024,
  ahead: 1024,
  aheadAtOnce: 16,
  aheadBesideBytes: 512 * 1024,
  aheadBesideMs: 50,
};

// Some places are left to what is larger: catalogs, and chunks of files.
export const batchLimits = { atOnce: 12, queueMax: 1024 };
