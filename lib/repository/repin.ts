import { PinfsError } from '../format/errors.js';
import { splitSourcePin } from '../source/source-pin.js';
import { openAsAsked } from './open.js';
import { withPresentTrust } from './open/opening.js';
import { parsePin } from './open/pin.js';
import type { Repository } from './repository.js';

/**
 * Opens another snapshot of the same repository on the same store, with the keys and the blacklist that are on this
 * machine now: as verified as any that is opened. The old one is left open, as it may be in use: call its `leave` when
 * nothing new is served from it.
 * @param pin a root hash, a tag or a date
 * @throws PinfsError whatever opening throws; REPIN_REFUSED: an attestation says which snapshot it is
 */
export async function openOtherPin(repository: Repository, pin: string): Promise<Repository> {
  const { opening } = repository;
  const { options } = opening;
  if (options.attestation !== undefined)
    throw new PinfsError('REPIN_REFUSED', `an attestation says which snapshot is mounted`, {
      advice: 'End it, and mount it with another attestation.',
    });
  const { source } = splitSourcePin(options.source);
  const parsed = parsePin(pin);
  const site = options.site && { ...options.site, pinNote: '; the pin was given to pinfs repin' };
  return await openAsAsked({
    ...withPresentTrust(opening),
    pin: parsed,
    options: { ...options, source: `${source}@${pin}`, ...(site === undefined ? {} : { site }) },
  });
}
