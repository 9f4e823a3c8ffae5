/* The parameters of the reference's client, and what becomes of each here. */

/** Of use to any reader, or only where something is mounted; `server`: none of a client's. */
export type ParameterUse = 'reader' | 'mount' | 'server' | 'environment';

/** What the text of a value has to be. */
export type ParameterKind =
  'text' | 'boolean' | 'number' | 'urls' | 'proxies' | 'files' | 'directory' | 'names';

/** `honoured`; honoured `otherwise`, in a way that the note tells; `unsupported`, for the reason of the note; `inside`: only the files themselves read it. */
export type Handling = 'honoured' | 'otherwise' | 'unsupported' | 'inside';

export interface Parameter {
  readonly name: string;
  readonly use: ParameterUse;
  readonly kind: ParameterKind;
  readonly handling: Handling;
  /** How otherwise, or why not; empty where it is honoured as it is. */
  readonly note: string;
}

type Row = readonly [names: string, kind: ParameterKind, handling: Handling, note?: string];

function parametersOf(use: ParameterUse, rows: readonly Row[]): Parameter[] {
  return rows.flatMap(([names, kind, handling, note = '']) =>
    names.split(' ').map((name) => ({ name, use, kind, handling, note })),
  );
}

const noPac = 'PAC files are scripts, and no script of a site is run: name the proxies';
const ownTimes = 'pinfs has its own times for that';
const noHelper = 'no helper for memberships (VOMS) is called: such repositories are for root alone';
const cacheRows = 'caches of other kinds are not known: pinfs has its own (--cache)';
const noNfs = 'mounts are not made to be exported by NFS';
const asLog = 'see --log: pinfs writes to a file, or to standard error for the journal';
const noNotify = 'the head is asked for after its time to live';

const ofReaders: readonly Row[] = [
  ['CVMFS_SERVER_URL', 'urls', 'honoured'],
  ['CVMFS_PUBLIC_KEY', 'files', 'honoured'],
  ['CVMFS_KEYS_DIR', 'directory', 'honoured'],
  ['CVMFS_HTTP_PROXY', 'proxies', 'honoured'],
  ['CVMFS_FALLBACK_PROXY', 'proxies', 'honoured'],
  ['CVMFS_PROXY_RESET_AFTER CVMFS_HOST_RESET_AFTER', 'number', 'honoured'],
  ['CVMFS_PROXY_SHARD', 'boolean', 'honoured'],
  ['CVMFS_PROXY_TEMPLATE', 'text', 'honoured'],
  ['CVMFS_PAC_URLS', 'urls', 'unsupported', noPac],
  ['CVMFS_TIMEOUT CVMFS_TIMEOUT_DIRECT', 'number', 'honoured'],
  ['CVMFS_LOW_SPEED_LIMIT', 'number', 'honoured'],
  [
    'CVMFS_MAX_RETRIES',
    'number',
    'otherwise',
    'a mount asks again as long as a reader waits (--deadline)',
  ],
  ['CVMFS_BACKOFF_INIT CVMFS_BACKOFF_MAX', 'number', 'honoured'],
  [
    'CVMFS_FAILOVER_INDEFINITELY',
    'boolean',
    'otherwise',
    'a read asks again until its deadline (--deadline), then the next one does',
  ],
  ['CVMFS_FOLLOW_REDIRECTS', 'boolean', 'honoured'],
  [
    'CVMFS_USE_GEOAPI',
    'boolean',
    'otherwise',
    'yes asks as the reference does, again after an hour and where the machine got other addresses; with no, or no answer, a server that answers in less than half the time goes before the others',
  ],
  ['CVMFS_MAX_SERVERS', 'number', 'honoured'],
  ['CVMFS_IPFAMILY_PREFER', 'number', 'honoured'],
  ['CVMFS_MAX_IPADDR_PER_PROXY', 'number', 'honoured'],
  [
    'CVMFS_DNS_SERVER',
    'text',
    'otherwise',
    'several may be named, and names of servers are looked up there as those of proxies; without any of CVMFS_DNS_… the system is asked',
  ],
  [
    'CVMFS_DNS_TIMEOUT CVMFS_DNS_RETRIES CVMFS_DNS_MIN_TTL CVMFS_DNS_MAX_TTL',
    'number',
    'otherwise',
    'also for names of servers; without any of CVMFS_DNS_… the system is asked, once a minute',
  ],
  [
    'CVMFS_DNS_ROAMING',
    'boolean',
    'otherwise',
    'resolv.conf is looked at whenever a name is looked up; without it the system notices a change',
  ],
  ['CVMFS_SEND_INFO_HEADER', 'boolean', 'unsupported', 'no server is told which path is read'],
  ['CVMFS_HTTP_TRACING', 'boolean', 'unsupported', 'no server is told who reads'],
  ['CVMFS_HTTP_TRACING_HEADERS', 'text', 'unsupported', 'no server is told who reads'],
  [
    'CVMFS_USE_SSL_SYSTEM_CA',
    'boolean',
    'otherwise',
    "the system's authorities count in any case, with those of Node",
  ],
  ['CVMFS_EXTERNAL_URL', 'urls', 'honoured'],
  [
    'CVMFS_EXTERNAL_HTTP_PROXY CVMFS_EXTERNAL_FALLBACK_PROXY',
    'proxies',
    'otherwise',
    'without them external files go the way of the others, not directly',
  ],
  [
    'CVMFS_EXTERNAL_TIMEOUT CVMFS_EXTERNAL_TIMEOUT_DIRECT CVMFS_EXTERNAL_MAX_SERVERS',
    'number',
    'honoured',
  ],
  ['CVMFS_ROOT_HASH CVMFS_REPOSITORY_TAG CVMFS_REPOSITORY_DATE', 'text', 'honoured'],
  [
    'CVMFS_ALT_ROOT_PATH',
    'boolean',
    'otherwise',
    'the other path is tried by itself where the manifest names it',
  ],
  [
    'CVMFS_AUTO_UPDATE',
    'boolean',
    'unsupported',
    'a mount of the head follows it: pin what is to stay',
  ],
  ['CVMFS_MAX_TTL', 'number', 'honoured'],
  ['CVMFS_BLACKLIST', 'files', 'honoured'],
  ['CVMFS_CONFIG_REPOSITORY', 'text', 'honoured'],
  ['CVMFS_CONFIG_REPO_REQUIRED', 'boolean', 'honoured'],
  ['CVMFS_CONFIG_REPO_DEFAULT_ENV CVMFS_USE_CDN CVMFS_CLIENT_PROFILE', 'text', 'inside'],
  ['CVMFS_DEFAULT_DOMAIN', 'text', 'honoured'],
  [
    'CVMFS_REPOSITORIES',
    'names',
    'otherwise',
    'names that are known: for a name with a typing error the nearest is told',
  ],
  ['CVMFS_STRICT_MOUNT', 'boolean', 'unsupported', 'what is mounted is what somebody mounts'],
  [
    'CVMFS_MOUNT_DIR',
    'directory',
    'otherwise',
    'where files of the config repository are said to be; mounts are where they are asked for',
  ],
  [
    'CVMFS_CACHE_BASE CVMFS_CACHE_DIR',
    'directory',
    'unsupported',
    "the cache has a form of its own, in its own place (--cache); what lies in the reference's can be taken over (--cache-lower)",
  ],
  ['CVMFS_SHARED_CACHE', 'boolean', 'otherwise', 'the cache is always shared by all repositories'],
  ['CVMFS_QUOTA_LIMIT', 'number', 'honoured'],
  [
    'CVMFS_ALIEN_CACHE',
    'directory',
    'unsupported',
    'nothing is written there; what lies there can be taken over (--cache-lower)',
  ],
  [
    'CVMFS_CATALOG_WATERMARK',
    'number',
    'otherwise',
    'how many catalogs are open follows from what there is of memory and files',
  ],
  ['CVMFS_CLAIM_OWNERSHIP', 'boolean', 'unsupported', 'owners are those that were published'],
  ['CVMFS_UID_MAP CVMFS_GID_MAP', 'text', 'honoured'],
  ['CVMFS_WORLD_READABLE', 'boolean', 'honoured'],
  [
    'CVMFS_MAGIC_XATTRS_VISIBILITY',
    'text',
    'otherwise',
    'as with rootonly: listed at the top directory, readable everywhere',
  ],
  [
    'CVMFS_HIDE_MAGIC_XATTRS',
    'boolean',
    'otherwise',
    'as with rootonly: listed at the top directory, readable everywhere',
  ],
  ['CVMFS_AUTHZ_HELPER CVMFS_AUTHZ_SEARCH_PATH', 'text', 'unsupported', noHelper],
  [
    'CVMFS_SYSLOG_LEVEL CVMFS_SYSLOG_FACILITY CVMFS_SYSLOG_PREFIX CVMFS_USYSLOG',
    'text',
    'unsupported',
    asLog,
  ],
  ['CVMFS_DEBUGLOG', 'text', 'unsupported', 'see --verbose and --log'],
  [
    'CVMFS_TRACEFILE CVMFS_TRACEBUFFER CVMFS_TRACEBUFFER_THRESHOLD',
    'text',
    'unsupported',
    'see --trace',
  ],
  ['CVMFS_NOTIFICATION_SERVER', 'text', 'unsupported', noNotify],
  ['CVMFS_TELEMETRY_SEND', 'boolean', 'unsupported', 'nothing is sent to anybody'],
  ['CVMFS_TELEMETRY_RATE', 'number', 'unsupported', 'nothing is sent to anybody'],
];

const ofMounts: readonly Row[] = [
  ['CVMFS_PROXY_SHARDING_POLICY', 'text', 'unsupported', 'the reference has no policy either'],
  [
    'CVMFS_WORKSPACE',
    'directory',
    'otherwise',
    'locks and sockets lie in the runtime directory of pinfs',
  ],
  ['CVMFS_CACHE_PRIMARY', 'text', 'unsupported', cacheRows],
  ['CVMFS_STREAMING_CACHE CVMFS_SERVER_CACHE_MODE', 'boolean', 'unsupported', cacheRows],
  ['CVMFS_CACHE_REFCOUNT', 'boolean', 'otherwise', 'open files are safe from eviction in any case'],
  ['CVMFS_MEMCACHE_SIZE', 'number', 'otherwise', 'its size follows from what there is of memory'],
  [
    'CVMFS_CHECK_PERMISSIONS',
    'boolean',
    'otherwise',
    'permissions are always checked by the kernel',
  ],
  ['CVMFS_ENFORCE_ACLS', 'boolean', 'unsupported', 'access lists are shown and not enforced'],
  [
    'CVMFS_XATTR_PROTECTED_XATTRS CVMFS_XATTR_PRIVILEGED_GIDS',
    'names',
    'unsupported',
    'see --protected-xattr and --xattr-gid',
  ],
  [
    'CVMFS_KCACHE_TIMEOUT',
    'number',
    'otherwise',
    'the kernel keeps what it knows as long as the snapshot stays',
  ],
  ['CVMFS_CACHE_SYMLINKS', 'boolean', 'otherwise', 'links are kept by the kernel where it can'],
  ['CVMFS_FUSE_NOTIFY_INVALIDATION', 'boolean', 'otherwise', 'the kernel is told of each change'],
  ['CVMFS_STATFS_CACHE_TIMEOUT', 'number', 'otherwise', 'statfs never waits'],
  [
    'CVMFS_INITIAL_GENERATION CVMFS_FUSE3_MAX_THREADS CVMFS_FUSE3_IDLE_THREADS',
    'number',
    'unsupported',
    ownTimes,
  ],
  ['CVMFS_INSTRUMENT_FUSE', 'boolean', 'otherwise', "'pinfs status' has the figures in any case"],
  ['CVMFS_NFS_SOURCE CVMFS_NFS_INTERLEAVED_INODES', 'text', 'unsupported', noNfs],
  ['CVMFS_NFS_SHARED', 'directory', 'unsupported', noNfs],
  ['CVMFS_MOUNT_RW', 'boolean', 'unsupported', 'mounts are read-only'],
  ['CVMFS_SUID', 'boolean', 'unsupported', 'see --suid: the command line says it, and no file'],
  ['CVMFS_USER', 'text', 'unsupported', 'pinfs runs as who calls it'],
  ['CVMFS_NFILES', 'number', 'otherwise', 'as many as the limit allows (ulimit -n, LimitNOFILE=)'],
  [
    'CVMFS_OOM_SCORE_ADJ CVMFS_CPU_AFFINITY',
    'text',
    'unsupported',
    'see OOMScoreAdjust= and CPUAffinity= of systemd',
  ],
  ['CVMFS_SYSTEMD_NOKILL', 'boolean', 'otherwise', 'a mount ends in order when it is told to'],
  [
    'CVMFS_RELOAD_SOCKETS CVMFS_TALK_SOCKET CVMFS_TALK_OWNER',
    'text',
    'unsupported',
    "'pinfs status' finds the mounts by itself",
  ],
];

const ofTheEnvironment: readonly Row[] = [
  ['CVMFS_IPV4_ONLY', 'boolean', 'unsupported', 'both kinds of addresses are tried'],
  ['X509_CERT_DIR X509_CERT_BUNDLE', 'text', 'unsupported', 'see SSL_CERT_FILE and SSL_CERT_DIR'],
  ['CVMFS_IGNORE_SIGNATURE', 'boolean', 'unsupported', 'the reference does not heed it either'],
  ['CVMFS_MAX_EXTERNAL_SERVERS', 'number', 'unsupported', 'the reference does not heed it either'],
  ['CVMFS_FQRN CVMFS_BASE_ENV', 'text', 'inside'],
];

const ofServers: readonly Row[] = [
  [
    'CVMFS_HASH_ALGORITHM CVMFS_COMPRESSION_ALGORITHM CVMFS_USE_FILE_CHUNKING CVMFS_MIN_CHUNK_SIZE CVMFS_AVG_CHUNK_SIZE ' +
      'CVMFS_MAX_CHUNK_SIZE CVMFS_GENERATE_LEGACY_BULK_CHUNKS CVMFS_AUTOCATALOGS CVMFS_AUTOCATALOGS_MAX_WEIGHT ' +
      'CVMFS_AUTOCATALOGS_MIN_WEIGHT CVMFS_ROOT_KCATALOG_LIMIT CVMFS_NESTED_KCATALOG_LIMIT CVMFS_FILE_MBYTE_LIMIT ' +
      'CVMFS_ENFORCE_LIMITS CVMFS_REPOSITORY_TTL CVMFS_AUTO_TAG CVMFS_AUTO_TAG_TIMESPAN CVMFS_GARBAGE_COLLECTION ' +
      'CVMFS_AUTO_GC CVMFS_AUTO_GC_TIMESPAN CVMFS_AUTO_GC_LAPSE CVMFS_GC_DELETION_LOG CVMFS_INCLUDE_XATTRS ' +
      'CVMFS_ENABLE_MTIME_NS CVMFS_EXTERNAL_DATA CVMFS_VIRTUAL_DIR CVMFS_VOMS_AUTHZ CVMFS_CATALOG_ALT_PATHS ' +
      'CVMFS_IGNORE_SPECIAL_FILES CVMFS_IGNORE_XDIR_HARDLINKS CVMFS_UPSTREAM_STORAGE CVMFS_STRATUM0 CVMFS_STRATUM1 ' +
      'CVMFS_SPOOL_DIR CVMFS_NUM_WORKERS CVMFS_SNAPSHOT_GROUP',
    'text',
    'unsupported',
    'it is for servers',
  ],
];

/** Every parameter that is known by its whole name. */
export const parameters: readonly Parameter[] = [
  ...parametersOf('reader', ofReaders),
  ...parametersOf('mount', ofMounts),
  ...parametersOf('environment', ofTheEnvironment),
  ...parametersOf('server', ofServers),
];

/** Names that are made from another one, such as CVMFS_CACHE_hpc_TYPE. */
const families: readonly (readonly [RegExp, Omit<Parameter, 'name'>])[] = [
  [
    /^CVMFS_CACHE_\w+_(TYPE|UPPER|LOWER|LOWER_READONLY|SIZE|MALLOC|LOCATOR|CMDLINE)$/,
    { use: 'mount', kind: 'text', handling: 'unsupported', note: cacheRows },
  ],
  [
    /^CVMFS_INFLUX_\w+$/,
    { use: 'reader', kind: 'text', handling: 'unsupported', note: 'nothing is sent to anybody' },
  ],
  [/^CVMFS_AUTHZ_\w+$/, { use: 'reader', kind: 'text', handling: 'unsupported', note: noHelper }],
  [
    /^CVMFS_(UNION|S3|GEO)_\w+$/,
    { use: 'server', kind: 'text', handling: 'unsupported', note: 'it is for servers' },
  ],
];

const byName: ReadonlyMap<string, Parameter> = new Map(parameters.map((one) => [one.name, one]));

/** What is known of a name; undefined: nothing is. */
export function parameterOf(name: string): Parameter | undefined {
  const family = families.find(([form]) => form.test(name));
  return byName.get(name) ?? (family === undefined ? undefined : { name, ...family[1] });
}
