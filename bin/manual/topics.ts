import { exitCodes } from './exit-codes.js';

/**
 * What `pinfs help topic-NAME` shows, and sections of the manual. `literal` and <placeholder> are marked; a line that
 * is indented by four blanks stands as it is, one that begins with `- ` is a point of a list.
 */
export interface Topic {
  readonly name: string;
  readonly title: string;
  readonly text: string;
}

export const topics: readonly Topic[] = [
  {
    name: 'pins',
    title: 'which snapshot is meant',
    text: `
A <SOURCE> alone means its signed head, as it is now; a mount follows it. What stands behind an \`@\` pins one snapshot:

- a root hash, with \`-rmd160\` or \`-shake128\` behind it where it is one: names the whole tree, and needs no key
- a tag: \`@2015-legacy\`; \`pinfs tags\` lists them. It is believed because the signed head's history has it
- a date or time in UTC: \`@2015-09-30\`, the newest tag at or before it; a bare date, month or year means its last second
- \`@HEAD~2\`: two revisions before the head; \`pinfs log\` lists revisions
- the first 8 or more digits of a root hash: looked for among tags, revisions before the head, and what was verified
on this machine

What could be several of these is the first that it can be: a tag of that name, \`HEAD~N\`, a date, digits.

    pinfs mount http://server/cvmfs/sw.example.org@2015-legacy ~/sw

The same pin gives the same tree on every machine. \`pinfs info SOURCE@TAG\` prints the root hash of a tag, which is what
to write down for ten years. \`pinfs repin DIR @PIN\` goes over to another snapshot of what is mounted.

A word of the settings (\`pinfs config edit\`) stands for a source: \`pinfs ls sw@2015-legacy /\`.`,
  },
  {
    name: 'trust',
    title: 'what is believed, and why',
    text: `
A head or a tag is believed only if the whole chain holds: the whitelist is signed by one of your master keys, names this
repository and has not expired; the certificate is on it; the manifest is signed by it; its revision is not below one that
was seen on this machine before; the root catalog has the hash that it names. All below is bound by hashes.

- \`--key\` gives the public master key; without it \`$XDG_CONFIG_HOME/pinfs/keys\`, \`/etc/cvmfs/keys\`, and the keys that
ship with pinfs, each good for its own domain only
- a pin by hash needs no key: its verdict is “pinned”
- \`--trust-at DATE\` judges as of that day, where a whitelist has expired since; the verdict says so
- \`--attestation FILE --signer PUB\` takes exactly the snapshot that a person signed (\`pinfs attest\`)
- \`--blacklist FILE\` names certificates and revisions that are refused

\`pinfs info SOURCE\` shows the verdict step by step; of a mount it stands in \`pinfs status\`, and in the attribute
\`user.pinfs.trust\`. What is refused ends with exit code 3, and nothing excuses a bad signature.`,
  },
  {
    name: 'cache',
    title: 'what is kept on this machine',
    text: `
The cache lies in \`$XDG_CACHE_HOME/pinfs\`, or where \`--cache\` says: plain files by hash, each verified when it came. It
holds at most 4 GiB (\`--cache-limit\`), never more than half of what was free. Several mounts and commands share it.

- \`pinfs fetch SOURCE@PIN PATH\` fills it beforehand; \`pinfs cache keep\` keeps a part from eviction
- \`pinfs cache size --by snapshot\` says what takes how much; \`pinfs cache verify --repair\` mends what a disk damaged
- \`--cache-lower DIR\` reads a cache of others besides, also of the reference client, and writes nothing there

What goes first when the limit is reached is content that was used least lately; mounted catalogs and open files stay.
What was seen (revisions, tags) is no cache: it lies in \`$XDG_STATE_HOME/pinfs\`, or in \`DIR/state\` of \`--cache DIR\`, and
\`pinfs forget FQRN\` is its end.`,
  },
  {
    name: 'offline',
    title: 'what works with no network',
    text: `
What was verified on this machine before mounts and reads again with no network, with the verdict “offline”, a warning and
its reason. It counts for whoever gives a key that vouched for it then.

- \`--offline\` asks nobody: what is in the cache, and nothing else
- \`--strict\` is the contrary: where only what was verified before could be had, nothing is mounted or printed, and the exit
code is 7
- \`--deadline\` is how long a read waits without progress while a server is away; then it fails with ETIMEDOUT, and a later
one tries again

    pinfs fetch SOURCE@2015-legacy           # before the network goes
    pinfs mount --offline SOURCE@2015-legacy ~/sw`,
  },
  {
    name: 'exit-codes',
    title: 'what the exit codes mean',
    text: `
${exitCodes.map(([code, meaning]) => `    ${code}  ${meaning}`).join('\n')}

Every error has a name besides, in brackets behind its message and as \`code\` with \`--json\`; docs/errors.md has each with its
cause and what to do. Where several things fail, the exit code is that of the worst.`,
  },
];
