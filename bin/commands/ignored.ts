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

function proxyNames(source: string, variables: Variables): string[] {
  const scheme = /^(https?):\/\//i.exec(source)?.[1]?.toLowerCase();
  if (scheme === undefined || isExcepted(source, variables)) return [];
  const names = [`${scheme}_proxy`, 'all_proxy'];
  return names.flatMap((name) => [name, name.toUpperCase()]);
}

/** Whether no_proxy names the host, a domain above it, or all. */
function isExcepted(source: string, variables: Variables): boolean {
  const host =
    /^https?:\/\/(?:[^/@]*@)?(\[[^\]]*\]|[^/:]*)/i.exec(source)?.[1]?.toLowerCase() ?? '';
  const list = variables['no_proxy'] ?? variables['NO_PROXY'] ?? '';
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .map((entry) => entry.replace(/^\*?\./, '').replace(/:\d+$/, ''))
    .some(
      (entry) => entry !== '' && (entry === '*' || host === entry || host.endsWith(`.${entry}`)),
    );
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
