import { environmentHops, isExcepted } from '../../lib/source/failover/environment.js';

type Variables = Readonly<Record<string, string | undefined>>;

/** Of the reference's client: what would pin, or lead elsewhere. Any other CVMFS_* may be meant for links. */
const pinning = [
  'CVMFS_REPOSITORY_TAG',
  'CVMFS_REPOSITORY_DATE',
  'CVMFS_ROOT_HASH',
  'CVMFS_SERVER_URL',
  'CVMFS_HTTP_PROXY',
  'CVMFS_PUBLIC_KEY',
  'CVMFS_KEYS_DIR',
  'CVMFS_CACHE_BASE',
  'CVMFS_QUOTA_LIMIT',
  'CVMFS_EXTERNAL_URL',
];

/** Variables that ask for something that is not done, by name; what `source` has no use for is left out. */
export function ignoredVariables(source: string, variables: Variables): string[] {
  const isSet = (name: string): boolean => (variables[name] ?? '') !== '';
  return [...pinning.filter(isSet), ...proxyNames(source, variables).filter(isSet)];
}

/** HTTP_PROXY could be set by a request, where a web server runs this; http_proxy and https_proxy are heeded. */
function proxyNames(source: string, variables: Variables): string[] {
  if (!/^https?:/i.test(source) || !URL.canParse(source)) return [];
  const url = new URL(source);
  if (isExcepted(url, variables) || environmentHops(url, variables).variable !== undefined)
    return [];
  const ofBoth = ['all_proxy', 'ALL_PROXY'];
  return url.protocol === 'http:' ? ['HTTP_PROXY', ...ofBoth] : ofBoth;
}

let warned = false;

/** Says once, on stderr, what of the environment is not heeded. */
export function warnOfIgnored(source: string, variables: Variables = process.env): void {
  const names = ignoredVariables(source, variables);
  if (warned || names.length === 0) return;
  warned = true;
  process.stderr.write(
    `pinfs: warning: ${names.join(', ')} in the environment: not heeded by this version\n`,
  );
}
