import { join } from 'node:path';
import { isRepositoryName } from '../format/names.js';
import { parseHash } from '../format/hash.js';
import type { Configuration, Origin, Setting } from './configuration.js';
import { parameterOf } from './parameters.js';
import type { FileFacts } from './shell/state.js';
import { nearestParameter } from './show.js';
import { elementsOf, isNumber, isOff, isOn, numberOf, proxyGroups } from './values.js';

/** What is wrong with a site's files. `error`: something will not work. */
export interface SiteFinding {
  readonly severity: 'error' | 'warning';
  /** Null: it is no matter of one line. */
  readonly origin: Origin | null;
  readonly text: string;
  readonly mend: string;
}

/** What values are held against. */
export interface CheckedMachine {
  readonly look: (path: string) => FileFacts | undefined;
  /** Names in a directory. */
  readonly list: (directory: string) => readonly string[];
  /** Size of the partition where the cache of pinfs lies; undefined: not known. */
  readonly cachePartitionBytes?: number | undefined;
}

type Check = (setting: Setting, machine: CheckedMachine) => SiteFinding[];

/** Everything that is found wrong, in the order of the files. */
export function checkConfiguration(
  configuration: Configuration,
  machine: CheckedMachine,
): SiteFinding[] {
  const { settings, problems, fqrn } = configuration;
  const known = [...settings.values()].filter(({ unknown }) => unknown === undefined);
  return [
    ...problems.map(({ severity, file, line, text, mend }) => ({
      severity,
      origin: { file, line },
      text,
      mend,
    })),
    ...known.flatMap((setting) => [
      ...checkName(setting),
      ...checkKind(setting),
      ...(isIdle(setting, configuration) ? [] : (checks[setting.name]?.(setting, machine) ?? [])),
    ]),
    ...checkPins(settings),
    ...(fqrn === '' ? [] : checkLacking(configuration)),
  ];
}

/** Keys are of one repository, and those of a directory count only where none are named. */
function isIdle({ name }: Setting, { fqrn, settings }: Configuration): boolean {
  if (name !== 'CVMFS_PUBLIC_KEY' && name !== 'CVMFS_KEYS_DIR') return false;
  const areNamed = (settings.get('CVMFS_PUBLIC_KEY')?.value ?? '') !== '';
  return fqrn === '' || (name === 'CVMFS_KEYS_DIR' && areNamed);
}

function finding(
  severity: SiteFinding['severity'],
  { name, origin }: Setting,
  text: string,
  mend: string,
): SiteFinding {
  return { severity, origin, text: `${name}: ${text}`, mend };
}

function checkName(setting: Setting): SiteFinding[] {
  const { name } = setting;
  if (!name.startsWith('CVMFS_') || parameterOf(name) !== undefined) return [];
  const meant = nearestParameter(name);
  const mend = meant === undefined ? 'Take it away, or mend the name.' : `Did you mean ${meant}?`;
  return [finding('warning', setting, 'no parameter has this name', mend)];
}

function checkKind(setting: Setting): SiteFinding[] {
  const { name, value } = setting;
  const parameter = parameterOf(name);
  if (parameter === undefined || value === '') return [];
  switch (parameter.kind) {
    case 'boolean':
      if (isOn(value) || isOff(value)) return [];
      return [finding('warning', setting, `'${value}' is neither on nor off`, 'Write yes or no.')];
    case 'number':
      if (isNumber(value)) return [];
      return [
        finding(
          'error',
          setting,
          `'${value}' is no number: it counts as ${numberOf(value)}`,
          'Write digits alone.',
        ),
      ];
    case 'urls':
      return checkUrls(setting);
    case 'proxies':
      return checkProxies(setting);
    case 'names':
      return checkBlanks(setting, 'warning', ',');
    case 'text':
    case 'files':
    case 'directory':
      return [];
  }
}

function checkBlanks(
  setting: Setting,
  severity: SiteFinding['severity'],
  sign: string,
): SiteFinding[] {
  if (!/\s/.test(setting.value)) return [];
  return [
    finding(
      severity,
      setting,
      'there are blanks in the list',
      `Put nothing but '${sign}' between its elements.`,
    ),
  ];
}

function checkUrls(setting: Setting): SiteFinding[] {
  const blanks = checkBlanks(setting, 'error', ';');
  if (blanks.length > 0) return blanks;
  return setting.value.split(';').flatMap((url) => {
    if (url === '') return [finding('warning', setting, 'an element is empty', "Take a ';' away.")];
    if (setting.name === 'CVMFS_PAC_URLS') return [];
    if (!/^(https?|file):\/\/[^/]/i.test(url) && !/^file:\/\/\//i.test(url))
      return [
        finding('error', setting, `'${url}' is no URL`, 'Begin it with http:// or https://.'),
      ];
    const rest = /@\w+@/.exec(url.replace(/^(\w+:\/\/)[^/]*@/, '$1'));
    if (rest === null) return [];
    return [finding('warning', setting, `nothing stands for ${rest[0]}`, 'Use @fqrn@ or @org@.')];
  });
}

function checkProxies(setting: Setting): SiteFinding[] {
  const blanks = checkBlanks(setting, 'error', ';');
  if (blanks.length > 0) return blanks;
  return proxyGroups(setting.value)
    .flat()
    .flatMap((proxy) => {
      if (proxy === '')
        return [
          finding(
            'warning',
            setting,
            'a member is empty, and can never work',
            "Take a ';' or '|' away.",
          ),
        ];
      if (proxy === 'DIRECT') return [];
      if (proxy === 'auto')
        return [
          finding(
            'warning',
            setting,
            'auto is what http_proxy of the environment says: no PAC file is run',
            'Name the proxies.',
          ),
        ];
      if (/^(direct|auto)$/i.test(proxy))
        return [
          finding(
            'error',
            setting,
            `'${proxy}' would be the name of a host`,
            `Write ${/^d/i.test(proxy) ? 'DIRECT' : 'auto'}.`,
          ),
        ];
      if (isProxy(proxy)) return [];
      return [finding('error', setting, `'${proxy}' is no proxy`, 'Write it as http://host:port.')];
    });
}

function isProxy(text: string): boolean {
  const whole = /^https?:\/\//i.test(text) ? text : `http://${text}`;
  if (/^\w+:\/\//.test(text) && whole !== text) return false;
  return URL.canParse(whole) && ['', '/'].includes(new URL(whole).pathname);
}

const mebibyte = 2 ** 20;

const checks: Readonly<Record<string, Check>> = {
  CVMFS_HTTP_PROXY: (setting) =>
    setting.value !== ''
      ? []
      : [finding('error', setting, 'the list of proxies is empty', 'Name proxies, or DIRECT.')],
  CVMFS_PUBLIC_KEY: (setting, { look }) =>
    elementsOf(setting.value, ':').flatMap((path) => {
      const facts = look(path);
      if (facts?.kind === 'file' && facts.readable) return [];
      const what = facts === undefined ? 'is not there' : "can't be read";
      return [finding('error', setting, `the key ${path} ${what}`, 'Put the public key there.')];
    }),
  CVMFS_KEYS_DIR: (setting, { look, list }) => {
    const { value } = setting;
    if (value === '') return [];
    const lacks = (what: string): SiteFinding[] => [
      finding('error', setting, what, 'Put the public keys (*.pub) there.'),
    ];
    if (look(value)?.kind !== 'directory') return lacks(`the directory ${value} is not there`);
    const keys = list(value).filter((name) => name.endsWith('.pub'));
    if (keys.length === 0) return lacks(`there is no key (*.pub) in ${value}`);
    const unreadable = keys.filter((name) => look(join(value, name))?.readable !== true);
    return unreadable.flatMap((name) => lacks(`the key ${join(value, name)} can't be read`));
  },
  CVMFS_QUOTA_LIMIT: (setting, { cachePartitionBytes }) => {
    const bytes = numberOf(setting.value) * mebibyte;
    if (cachePartitionBytes === undefined || bytes <= cachePartitionBytes) return [];
    const size = Math.floor(cachePartitionBytes / mebibyte);
    const text = `the cache may become larger than its partition, which has ${size} MiB`;
    return [finding('warning', setting, text, `Write at most ${Math.floor(size / 2)}.`)];
  },
  CVMFS_DEFAULT_DOMAIN: (setting) =>
    setting.value === '' || isRepositoryName(setting.value)
      ? []
      : [
          finding(
            'error',
            setting,
            `'${setting.value}' is no domain`,
            'Write one, such as cern.ch.',
          ),
        ],
  CVMFS_REPOSITORIES: (setting) =>
    elementsOf(setting.value)
      .filter((name) => !isRepositoryName(name))
      .map((name) =>
        finding('error', setting, `'${name}' can't be a repository`, 'Mend the name.'),
      ),
  CVMFS_ROOT_HASH: (setting) =>
    setting.value === '' || parseHash(setting.value) !== undefined
      ? []
      : [
          finding(
            'error',
            setting,
            `'${setting.value}' is no root hash`,
            'Write 40 lower-case hex digits.',
          ),
        ],
  CVMFS_REPOSITORY_DATE: (setting) =>
    setting.value === '' || !Number.isNaN(Date.parse(setting.value))
      ? []
      : [
          finding(
            'error',
            setting,
            `'${setting.value}' is no date`,
            'Write it like 2015-09-30T12:00:00Z.',
          ),
        ],
};

/** Those that pin, the one that wins first. */
export const pinParameters = [
  'CVMFS_ROOT_HASH',
  'CVMFS_REPOSITORY_TAG',
  'CVMFS_REPOSITORY_DATE',
] as const;

function checkPins(settings: Configuration['settings']): SiteFinding[] {
  const [first, ...others] = pinParameters.flatMap((name) => {
    const setting = settings.get(name);
    return setting === undefined || setting.value === '' ? [] : [setting];
  });
  return others.map((setting) =>
    finding('warning', setting, `${first?.name ?? ''} wins over it`, 'Take one of them away.'),
  );
}

/** What a repository can't do without. */
function checkLacking({ settings, fqrn }: Configuration): SiteFinding[] {
  const found: SiteFinding[] = [];
  const domain = fqrn.split('.').slice(1).join('.');
  const lacks = (severity: SiteFinding['severity'], text: string, mend: string): void => {
    found.push({ severity, origin: null, text, mend });
  };
  const isUnset = (name: string): boolean => (settings.get(name)?.value ?? '') === '';
  const where = `config.d/${fqrn}.local or domain.d/${domain}.local`;
  if (isUnset('CVMFS_SERVER_URL') && settings.get('CVMFS_SERVER_URL')?.unknown === undefined)
    lacks('error', `no server is known for ${fqrn}`, `Set CVMFS_SERVER_URL in ${where}.`);
  if (!settings.has('CVMFS_HTTP_PROXY'))
    lacks(
      'warning',
      `no proxies are named for ${fqrn}: http_proxy of the environment counts, or servers are asked directly`,
      'Set CVMFS_HTTP_PROXY in default.local; DIRECT where there is none.',
    );
  return found;
}
