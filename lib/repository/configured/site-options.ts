import { fileURLToPath } from 'node:url';
import { PinfsError } from '../../format/errors.js';
import type { Configuration, Setting } from '../../configuration/configuration.js';
import { pinParameters } from '../../configuration/check.js';
import { originText } from '../../configuration/show.js';
import { isOn, numberOf, urlsOf } from '../../configuration/values.js';
import type { NetworkData } from '../../source/network.js';
import { isUrl } from '../../source/source-pin.js';
import type { OpenOptions, SiteData } from '../open/options.js';
import { parseDate, parsePin } from '../open/pin.js';

const mebibyteBytes = 2 ** 20;

/** The options with what a site says of a repository; what is given already wins. @throws PinfsError */
export function siteOptions(
  options: OpenOptions,
  named: {
    readonly fqrn: string;
    readonly pin: string | undefined;
    readonly urls: readonly string[];
  },
  configuration: Configuration,
): OpenOptions & { readonly site: SiteData } {
  const { settings } = configuration;
  const value = (name: string): string => settings.get(name)?.value ?? '';
  const [first = '', ...others] = named.urls.map(placeOf);
  const { pin, text } = pinOf(options, named.pin, settings);
  const { mirrors = [], proxy } = options;
  const ownMirrors = mirrors.length > 0 ? mirrors : isUrl(first) ? others.filter(isUrl) : [];
  const limit = numberOf(value('CVMFS_QUOTA_LIMIT'));
  const [external, ...otherExternals] = urlsOf(value('CVMFS_EXTERNAL_URL')).map(placeOf);
  const proxies = proxy ?? (value('CVMFS_HTTP_PROXY') || undefined);
  const servers = settings.get('CVMFS_SERVER_URL');
  // Credentials are for the server alone.
  const shown = first.replace(/^([^/]*\/\/)[^/]*@/, '$1');
  const where = servers === undefined ? '' : ` (${originText(servers.origin)})`;
  const note = `${named.fqrn} is ${shown}${where}`;
  const network = networkOf(settings, proxy !== undefined);
  const site: SiteData = {
    note,
    ...(text === '' ? {} : { pinNote: text }),
    network,
    external: {
      // Those of the files, unless another place was given.
      mirrors: options.external === undefined ? otherExternals.filter(isUrl) : [],
      ...externalOf(settings, proxy !== undefined),
    },
    ...shownOf(settings),
  };
  return {
    ...options,
    source: pin === undefined ? first : `${first}@${pin}`,
    fqrn: options.fqrn ?? named.fqrn,
    mirrors: ownMirrors,
    ...(proxies === undefined ? {} : { proxy: proxies }),
    ...given('cacheLimit', options.cacheLimit ?? (limit > 0 ? limit * mebibyteBytes : undefined)),
    ...given('blacklist', options.blacklist ?? (value('CVMFS_BLACKLIST') || undefined)),
    ...given('external', options.external ?? external),
    ...given(
      'followRedirects',
      options.followRedirects ?? (isOn(value('CVMFS_FOLLOW_REDIRECTS')) || undefined),
    ),
    site,
  };
}

/** Owners and modes that are shown otherwise, and the most of a time to live, which stands there in minutes. */
function shownOf(settings: Settings): Pick<SiteData, 'shown' | 'maxTtl'> {
  const value = (name: string): string => settings.get(name)?.value ?? '';
  const maxTtl = numberOf(value('CVMFS_MAX_TTL')) * 60;
  const shown = {
    ...given('uidMap', value('CVMFS_UID_MAP') || undefined),
    ...given('gidMap', value('CVMFS_GID_MAP') || undefined),
    ...given('worldReadable', isOn(value('CVMFS_WORLD_READABLE')) || undefined),
  };
  return {
    ...given('shown', Object.keys(shown).length === 0 ? undefined : shown),
    ...given('maxTtl', maxTtl > 0 ? maxTtl : undefined),
  };
}

/** Nothing where there is no value. */
function given<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): Partial<Record<Name, Value>> {
  return value === undefined ? {} : ({ [name]: value } as Record<Name, Value>);
}

/** A server, or the directory of a file:// URL; a slash at the end would be doubled. */
function placeOf(url: string): string {
  if (/^file:\/\//i.test(url) && URL.canParse(url)) return fileURLToPath(url);
  return url.replace(/\/+$/, '');
}

type Settings = Configuration['settings'];

/** The pin of the command line, else the site's, with what the verdict says of it. @throws PinfsError PIN_MALFORMED */
function pinOf(
  { attestation }: OpenOptions,
  commandLine: string | undefined,
  settings: Settings,
): { readonly pin: string | undefined; readonly text: string } {
  const isThere = (setting: Setting | undefined): setting is Setting =>
    setting !== undefined && setting.value !== '';
  const found = pinParameters.map((name) => settings.get(name)).find(isThere);
  if (found === undefined) return { pin: commandLine, text: '' };
  const where = `${found.name} (${originText(found.origin)})`;
  if (commandLine !== undefined || attestation !== undefined)
    return { pin: commandLine, text: `; the pin is that of the command line, not of ${where}` };
  const pin = found.value;
  const isWrong =
    (found.name === 'CVMFS_ROOT_HASH' && parsePin(pin).kind !== 'hash') ||
    (found.name === 'CVMFS_REPOSITORY_DATE' && parseDate(pin) === undefined);
  if (isWrong)
    throw new PinfsError('PIN_MALFORMED', `${where}: '${pin}' can't be a pin`, {
      advice: 'Mend that line, or give a pin behind the name, as in NAME@TAG.',
    });
  return { pin, text: `; the pin is that of ${where}` };
}

function numbersIn(settings: Settings) {
  const number = (name: string, unit = 1): number | undefined => {
    const setting = settings.get(name);
    return setting === undefined || setting.value === ''
      ? undefined
      : numberOf(setting.value) * unit;
  };
  const positive = (name: string, unit = 1): number | undefined => {
    const found = number(name, unit);
    return found !== undefined && found > 0 ? found : undefined;
  };
  return { number, positive };
}

/** What is not set is as for all other files; proxies of the command line count for both. */
function externalOf(settings: Settings, isProxyGiven: boolean): NetworkData {
  const { positive } = numbersIn(settings);
  const proxies = settings.get('CVMFS_EXTERNAL_HTTP_PROXY')?.value;
  const fallback = settings.get('CVMFS_EXTERNAL_FALLBACK_PROXY')?.value;
  return {
    ...given('proxies', isProxyGiven ? undefined : proxies || undefined),
    ...given('fallbackProxies', isProxyGiven ? undefined : fallback || undefined),
    ...given('timeout', positive('CVMFS_EXTERNAL_TIMEOUT', 1000)),
    ...given('timeoutDirect', positive('CVMFS_EXTERNAL_TIMEOUT_DIRECT', 1000)),
    ...given('maxServers', positive('CVMFS_EXTERNAL_MAX_SERVERS')),
  };
}

/** Times are seconds in the files, and milliseconds here. */
function networkOf(settings: Settings, isProxyGiven: boolean): SiteData['network'] {
  const { number, positive } = numbersIn(settings);
  const fallback = settings.get('CVMFS_FALLBACK_PROXY')?.value;
  const data: SiteData['network'] = {
    fallbackProxies: isProxyGiven || fallback === '' ? undefined : fallback,
    timeout: positive('CVMFS_TIMEOUT', 1000),
    timeoutDirect: positive('CVMFS_TIMEOUT_DIRECT', 1000),
    lowSpeedLimit: positive('CVMFS_LOW_SPEED_LIMIT'),
    maxRetries: number('CVMFS_MAX_RETRIES'),
    backoff: positive('CVMFS_BACKOFF_INIT', 1000),
    backoffMax: positive('CVMFS_BACKOFF_MAX', 1000),
    proxyResetAfter: number('CVMFS_PROXY_RESET_AFTER', 1000),
    hostResetAfter: number('CVMFS_HOST_RESET_AFTER', 1000),
    proxyShard: settings.has('CVMFS_PROXY_SHARD')
      ? isOn(settings.get('CVMFS_PROXY_SHARD')?.value)
      : undefined,
    maxServers: positive('CVMFS_MAX_SERVERS'),
    dnsServer: settings.get('CVMFS_DNS_SERVER')?.value || undefined,
    dnsTimeout: positive('CVMFS_DNS_TIMEOUT', 1000),
    dnsRetries: number('CVMFS_DNS_RETRIES'),
    dnsMinTtl: number('CVMFS_DNS_MIN_TTL', 1000),
    dnsMaxTtl: positive('CVMFS_DNS_MAX_TTL', 1000),
    dnsRoaming: isOn(settings.get('CVMFS_DNS_ROAMING')?.value) || undefined,
    ipFamily: positive('CVMFS_IPFAMILY_PREFER'),
    addressesPerProxy: positive('CVMFS_MAX_IPADDR_PER_PROXY'),
    geo: isOn(settings.get('CVMFS_USE_GEOAPI')?.value) || undefined,
    proxyTemplate: settings.get('CVMFS_PROXY_TEMPLATE')?.value || undefined,
  };
  return Object.fromEntries(Object.entries(data).filter(([, one]) => one !== undefined));
}
