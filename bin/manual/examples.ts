/** Examples of each command, by its words with `-` between them, for its help and its page of the manual: a command line, and what it is for. */
export const examples: Readonly<
  Record<string, readonly (readonly [line: string, what: string])[]>
> = {
  mount: [
    [
      'pinfs mount --key sw.pub http://server/cvmfs/sw.example.org@2015-legacy ~/sw',
      'a tag, verified by a key',
    ],
    ['pinfs mount sw.example.org ~/sw', 'the head of a repository that this site has configured'],
    ['pinfs mount --offline SOURCE@2015-legacy ~/sw', 'from the cache alone'],
    [
      'pinfs mount SOURCE@2015-legacy ~/old --with SOURCE@2024-open-data=~/new',
      'two by one process, which takes less memory',
    ],
    ['pinfs mount --at-login SOURCE@2015-legacy ~/sw', 'now, and at each login'],
  ],
  umount: [
    ['pinfs umount ~/sw', 'says who keeps it busy, if it is'],
    ['pinfs umount --lazy ~/sw', 'out of sight now, served until its last user leaves'],
  ],
  open: [
    ['cd "$(pinfs open sw@2015-legacy)"', 'mounted if it is not yet, and gone when nobody uses it'],
    ['xdg-open "$(pinfs open sw@2015-legacy)"', 'in the file manager'],
  ],
  repin: [
    ['pinfs repin ~/sw @2024-open-data', 'another tag; what is open keeps the old one'],
    ['pinfs repin --dry-run ~/sw @2024-open-data', 'verifies it, and stays'],
  ],
  'record-start': [['pinfs record start ~/sw job.trace', 'from now on']],
  'record-stop': [['pinfs record stop ~/sw', 'the trace is whole then']],
  'trace-info': [['pinfs trace info job.trace', 'how many accesses, objects and bytes']],
  'trace-show': [['pinfs trace show job.trace', 'each access on a line']],
  'trace-csv': [['pinfs trace csv job.trace', 'for a spreadsheet']],
  'trace-json': [['pinfs trace json job.trace', 'for a program']],
  'trace-head': [['pinfs trace head --count 3 job.trace', 'the first three']],
  'trace-import': [
    ['pinfs trace import --format oracle-general other.trace -o job.trace', 'from libCacheSim'],
  ],
  'trace-export': [
    ['pinfs trace export --format libcachesim-csv job.trace -o job.csv', 'to libCacheSim'],
  ],
  ls: [
    ['pinfs ls -l SOURCE@2015-legacy /bin', 'with all attributes'],
    ['pinfs ls -R sw@2015-legacy', 'all of what the settings call sw'],
  ],
  stat: [['pinfs stat SOURCE@2015-legacy /bin/tool', 'what the catalog has of it']],
  cat: [['pinfs cat SOURCE@2015-legacy /README.md', 'verified, with no mount']],
  cp: [
    ['pinfs cp SOURCE@2015-legacy /README.md .', 'one file'],
    ['pinfs cp -r SOURCE@2015-legacy /software ./software', 'a tree; after Ctrl-C it goes on'],
    ['pinfs cp -r --update SOURCE /software/ ./software', 'replaces what differs'],
  ],
  find: [["pinfs find SOURCE@2015-legacy / --name '*.so' --ls", 'with all attributes']],
  fetch: [
    ['pinfs fetch SOURCE@2015-legacy /software', 'into the cache, for later'],
    ['pinfs fetch --catalogs SOURCE@2015-legacy', 'names alone'],
  ],
  info: [['pinfs info --key sw.pub SOURCE@2015-legacy', 'root hash and verdict, step by step']],
  tags: [['pinfs tags SOURCE', 'newest first']],
  log: [
    ['pinfs log -n 10 SOURCE', 'the last ten revisions, tagged or not'],
    ['pinfs log SOURCE /software/tool', 'those that changed something below it'],
  ],
  diff: [
    ['pinfs diff SOURCE@2015-legacy @HEAD /software', 'what has changed there since'],
    ['pinfs diff --stat SOURCE@HEAD~1 @HEAD', 'how much the last publication was'],
  ],
  status: [
    ['pinfs status', 'each mount of this machine'],
    ['pinfs status ~/sw', 'one of them'],
  ],
  check: [
    ['pinfs check SOURCE@2015-legacy', 'fetches and verifies everything'],
    ['pinfs check --cache /tmp/empty SOURCE', 'the server, not what is here'],
  ],
  explain: [
    ['pinfs explain ~/sw/bin/tool', 'why it is slow, or fails'],
    ['pinfs explain SOURCE@2015-legacy /bin/tool', 'with no mount'],
  ],
  probe: [
    ['pinfs probe --mirror http://s2/cvmfs/@fqrn@ --proxy "http://p1:3128;DIRECT" SOURCE', ''],
  ],
  serve: [['pinfs serve /srv/cvmfs --port 8000', 'on loopback']],
  bench: [
    ['pinfs bench SOURCE@2015-legacy', 'walk the tree, cold, hot and warm'],
    ['pinfs bench --workload tar --rtt 20ms -o before.json SOURCE@2015-legacy', 'on a long line'],
  ],
  'bench-diff': [['pinfs bench-diff before.json after.json', 'faster, slower, or not to be told']],
  replay: [
    ['pinfs replay --policy all --size 10M..1G job.trace', 'what other caches would have done'],
  ],
  mrc: [['pinfs mrc job.trace', 'misses by limit, under LRU']],
  advise: [['pinfs advise --target 95% job.trace', 'the limit that these jobs need']],
  'profile-make': [
    ['pinfs profile make job.trace -o job.profile', 'what a job reads, in its order'],
  ],
  'profile-show': [['pinfs profile show job.profile', 'what it would fetch']],
  'profile-merge': [['pinfs profile merge a.profile b.profile -o both.profile', 'of two jobs']],
  'profile-diff': [
    ['pinfs profile diff a.profile b.profile', 'what one reads and the other does not'],
  ],
  report: [['pinfs report run.json job.trace -o report.html', 'one page of pictures']],
  attest: [
    ['pinfs attest --key sw.pub --signing-key me.key -o pin.json SOURCE@2015-legacy', 'sign a pin'],
    [
      'pinfs mount --attestation pin.json --signer me.key.pub SOURCE ~/sw',
      'exactly that, or nothing',
    ],
  ],
  'key-generate': [['pinfs key generate -o me.key', 'me.key, and me.key.pub to hand out']],
  'cache-list': [['pinfs cache list', 'what lies there']],
  'cache-size': [['pinfs cache size --by snapshot', 'what each takes, and takes alone']],
  'cache-verify': [['pinfs cache verify --repair', 'what is damaged is fetched again']],
  'cache-clear': [['pinfs cache clear', 'but for what is in use']],
  'cache-evict': [['pinfs cache evict SOURCE@2015-legacy /data', 'what lies below a path']],
  'cache-keep': [['pinfs cache keep SOURCE@2015-legacy /software', 'fetched, and never evicted']],
  'cache-unkeep': [['pinfs cache unkeep SOURCE@2015-legacy /software', 'it may go again']],
  'cache-kept': [['pinfs cache kept', 'what is kept']],
  'cache-read-only': [['pinfs cache read-only', 'before its disk is mounted read-only']],
  forget: [['pinfs forget sw.example.org', 'what was seen of it: revisions and tags']],
  'config-show': [
    ['pinfs config show', 'the settings of pinfs, with their origin'],
    ['pinfs config show sw.example.org', 'and what the site says of a repository'],
  ],
  'config-check': [
    ['pinfs config check --probe', 'is anything wrong with the files of this site?'],
  ],
  'config-path': [['cat "$(pinfs config path)"', 'the settings of this user']],
  'config-edit': [['pinfs config edit', 'in $VISUAL or $EDITOR']],
  publish: [
    [
      'pinfs publish demo.example.org --storage /srv/cvmfs/demo.example.org --from ./tree --tag v1',
      'a directory, under a name for ever',
    ],
    [
      'pinfs publish demo.example.org --storage /srv/cvmfs/demo.example.org --from new.tar.zst --at /1.2 --dry-run',
      'what an archive would change',
    ],
  ],
  'repo-tag': [
    ['pinfs repo tag list demo.example.org --storage /srv/cvmfs/demo.example.org', 'all names'],
  ],
  'repo-rollback': [
    [
      'pinfs repo rollback demo.example.org v1 --storage /srv/cvmfs/demo.example.org',
      'the tree of v1 as a new revision',
    ],
  ],
  'repo-create': [
    [
      'pinfs repo create demo.example.org --storage /srv/cvmfs/demo.example.org',
      'an empty tree, and the keys for it',
    ],
    [
      'pinfs repo create demo.example.org --storage s3://bucket/demo.example.org --master-signing-key /media/stick/master',
      'in a bucket, with the master key elsewhere',
    ],
  ],
  'repo-resign': [
    [
      'pinfs repo resign demo.example.org --storage /srv/cvmfs/demo.example.org --days 60',
      'before the whitelist expires',
    ],
  ],
  'repo-rotate-key': [
    [
      'pinfs repo rotate-key demo.example.org --storage /srv/cvmfs/demo.example.org',
      'a new key for revisions',
    ],
  ],
  'repo-info': [
    [
      'pinfs repo info demo.example.org --storage /srv/cvmfs/demo.example.org',
      'revision, certificate, whitelist',
    ],
  ],
  'repo-check': [
    [
      'pinfs repo check demo.example.org --storage /srv/cvmfs/demo.example.org',
      'every object of every tag',
    ],
  ],
  'repo-repair': [
    [
      'pinfs repo repair demo.example.org --storage /srv/cvmfs/demo.example.org --from http://mirror/cvmfs/demo.example.org',
      'from a mirror',
    ],
  ],
  'repo-mirror': [
    [
      'pinfs repo mirror http://server/cvmfs/demo.example.org --storage /srv/cvmfs/demo.example.org --key demo.pub',
      'the head and all tags; again, it is brought up to date',
    ],
    [
      'pinfs repo mirror SOURCE --storage s3://bucket/demo.example.org --tag v1 --newest 10',
      'into a bucket, the head and eleven others',
    ],
  ],
  'repo-gc': [
    [
      'pinfs repo gc demo.example.org --storage /srv/cvmfs/demo.example.org --keep papers.txt',
      'tells what would go',
    ],
  ],
  'repo-key': [
    ['pinfs repo key export demo.example.org -o demo.pub', 'for readers, who give it with --key'],
  ],
  setup: [
    ['pinfs setup --dry-run', 'says what it would write'],
    ['pinfs setup', 'mount -t pinfs, systemd, autofs'],
  ],
  doctor: [['pinfs doctor', 'can this machine mount, and if not, how to mend it']],
  completion: [['pinfs completion zsh', 'the script, for a file in $fpath']],
  help: [['pinfs help topic-pins', 'which snapshot is meant']],
  version: [['pinfs version', '']],
};
