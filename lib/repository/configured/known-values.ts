import { PinfsError } from '../../format/errors.js';
import { pinParameters } from '../../configuration/check.js';
import type { Configuration, Setting } from '../../configuration/configuration.js';
import { parameterOf } from '../../configuration/parameters.js';
import type { Environment } from '../open/environment.js';
import type { OpenOptions } from '../open/options.js';

/** Without which something else would be fetched, or believed, than the site allows; and what stands for them. */
interface Decisive {
  readonly names: readonly string[];
  readonly option: string;
  readonly isGiven: boolean;
}

/**
 * What could not be evaluated counts as not set, which must not be silent: where it decides who is asked, who is
 * believed, or what is opened, it is an error, unless the command line says it; of the rest there is a warning.
 * @throws PinfsError USAGE
 */
export function demandKnown(
  { settings }: Configuration,
  { proxy, keys = [], blacklist, attestation }: OpenOptions,
  pin: string | undefined,
  { report }: Environment,
): void {
  const decisive: readonly Decisive[] = [
    {
      names: ['CVMFS_HTTP_PROXY', 'CVMFS_FALLBACK_PROXY'],
      option: '--proxy',
      isGiven: proxy !== undefined,
    },
    { names: ['CVMFS_PUBLIC_KEY', 'CVMFS_KEYS_DIR'], option: '--key', isGiven: keys.length > 0 },
    { names: ['CVMFS_BLACKLIST'], option: '--blacklist', isGiven: blacklist !== undefined },
    {
      names: pinParameters,
      option: 'a pin, as in NAME@TAG',
      isGiven: pin !== undefined || attestation !== undefined,
    },
  ];
  const unknown = [...settings.values()].filter((setting) => setting.unknown !== undefined);
  for (const { names, option, isGiven } of decisive) {
    const found = unknown.find(({ name }) => names.includes(name));
    if (found === undefined || isGiven) continue;
    const advice = `${found.unknown?.mend ?? ''} Or give ${option}.`;
    throw new PinfsError('USAGE', unknownText(found), { advice });
  }
  const others = unknown.filter(
    ({ name }) =>
      parameterOf(name)?.handling === 'honoured' &&
      !decisive.some(({ names }) => names.includes(name)),
  );
  for (const setting of others)
    report?.(
      new PinfsError('USAGE', `${unknownText(setting)}; it counts as not set`, {
        advice: setting.unknown?.mend,
      }),
    );
}

function unknownText({ name, unknown }: Setting): string {
  if (unknown === undefined) return name;
  const { file, line, text } = unknown;
  return `${file}:${line}: ${text.startsWith(name) ? '' : `${name}: `}${text}`;
}
