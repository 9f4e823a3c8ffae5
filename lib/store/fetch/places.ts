import { isWanted, type Flight } from './flight.js';

export interface FlightLimits {
  readonly atOnce: number;
  /** So many of these places are for what weighs no more than `lightWeight`, which is there in a moment. */
  readonly lightPlaces: number;
  readonly lightWeight: number;
  /** Sum of the weights (bytes of disk) of what flies at once; one that is heavier flies alone. */
  readonly weight: number;
  /** How many that nobody waits for stand in their queue, and fly at once. */
  readonly ahead: number;
  readonly aheadAtOnce: number;
  /**
   * What nobody waits for flies beside what somebody waits for as long as it weighs no more than this, nor
   * than comes within `aheadBesideMs`: so long it may hold him up.
   */
  readonly aheadBesideBytes: number;
  readonly aheadBesideMs: number;
}

type Which = (flight: Flight) => boolean;

/** How many of those that fly, and are not about to end. */
export function countOf(flying: Iterable<Flight>, which: Which): number {
  let count = 0;
  for (const flight of flying) if (!flight.leaving && which(flight)) count++;
  return count;
}

/** Whether all weigh no more than is allowed when this one flies beside those. */
export function fitsBeside(
  { weight }: Flight,
  flying: Iterable<Flight>,
  limits: FlightLimits,
  beside: Which = () => true,
): boolean {
  let sum = 0;
  for (const one of flying) if (!one.leaving && beside(one)) sum += one.weight;
  return sum === 0 || sum + weight <= limits.weight;
}

/**
 * Whether there is a place for what somebody waits for; what is fetched ahead gives its own away.
 * @param putBack ends one that nobody waits for, to be begun again
 */
export function hasPlace(
  flight: Flight,
  flying: ReadonlySet<Flight>,
  limits: FlightLimits,
  putBack: (flight: Flight) => void,
): boolean {
  const { atOnce, lightPlaces, lightWeight } = limits;
  const isHeavy: Which = (one) => one.weight > lightWeight;
  const heavy = countOf(flying, (one) => isWanted(one) && isHeavy(one));
  if (isHeavy(flight) && heavy >= atOnce - lightPlaces) return false;
  if (!fitsBeside(flight, flying, limits, isWanted)) return false;
  for (const other of [...flying].reverse()) {
    if (fitsBeside(flight, flying, limits)) break;
    if (!isWanted(other) && !other.leaving) putBack(other);
  }
  return true;
}
