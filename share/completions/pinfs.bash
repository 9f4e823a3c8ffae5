# Completion of pinfs(1) for bash: source this file, or put it where bash-completion looks,
# as /usr/share/bash-completion/completions/pinfs.
# Made by `npm run documents` from what the commands declare.

# Words of the settings, and behind an @ tags, as far as this machine knows them.
_pinfs_sources() {
  local line=${COMP_LINE:0:COMP_POINT}
  local whole=${line##* } one found
  [[ $whole == */* && $whole != *@* ]] && return
  mapfile -t found < <("${COMP_WORDS[0]}" completion bash --line "$line" 2>/dev/null)
  # What stands in front of the last @ or : is another word to readline.
  local front=${whole%"$1"}
  [[ $1 == @ ]] && front=$whole
  for one in "${found[@]}"; do
    [[ $one == "$whole"* ]] && COMPREPLY+=("${one#"$front"}")
  done
  # A pin may follow.
  [[ $whole == *@* ]] || compopt -o nospace 2>/dev/null
}

_pinfs() {
  local commands='mount umount open repin record trace ls stat cat cp find log diff fetch info tags status check explain probe serve bench bench-diff replay mrc advise profile report publish repo attest key cache forget config setup doctor completion help version'
  local output='--json --verbose --quiet --progress --color --help'
  local source="$output --key --fqrn --cache --cache-limit --cache-lower --trust-at --blacklist --external --config --set --mirror --proxy --env --attestation --signer --offline --strict --deadline --min-rate --follow-redirects --weak-key"
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} options=
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$commands --version --help" -- "$word")
    return
  fi
  case $before in
    --progress) mapfile -t COMPREPLY < <(compgen -W 'auto json' -- "$word") && return ;;
    --color) mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$word") && return ;;
    --inodes) mapfile -t COMPREPLY < <(compgen -W '32 63' -- "$word") && return ;;
    --driver) mapfile -t COMPREPLY < <(compgen -W 'auto fuse-native kernel' -- "$word") && return ;;
    --ahead) mapfile -t COMPREPLY < <(compgen -W 'off' -- "$word") && return ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W 'info warn error' -- "$word") && return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W 'libcachesim-csv oracle-general cvmfs-tracer' -- "$word") && return ;;
    --type) mapfile -t COMPREPLY < <(compgen -W 'f d l c b p s' -- "$word") && return ;;
    --workload) mapfile -t COMPREPLY < <(compgen -W 'walk tar' -- "$word") && return ;;
    --drivers) mapfile -t COMPREPLY < <(compgen -W 'kernel fuse-native kernel,fuse-native' -- "$word") && return ;;
    --policy) mapfile -t COMPREPLY < <(compgen -W 'all pinfs lru fifo clock sieve s3fifo lfu arc 2q belady' -- "$word") && return ;;
    --by) mapfile -t COMPREPLY < <(compgen -W 'snapshot' -- "$word") && return ;;
    --compression) mapfile -t COMPREPLY < <(compgen -W 'zlib none' -- "$word") && return ;;
    --hash) mapfile -t COMPREPLY < <(compgen -W 'sha1 rmd160 shake128' -- "$word") && return ;;
    --fqrn | --cache-limit | --trust-at | --set | --mirror | --proxy | --env | --deadline | --min-rate | --with | --idle | --metrics | --protected-xattr | --xattr-gid | --count | --name | --number | --jobs | --port | --host | --rtt | --rate | --repeats | --clients | --seed | --size | --sample | --target | --storage | --at | --delete | --tag | --message | --chunk-sizes | --external | --days | --keep | --newest | --register) return ;;
  esac
  case $command in
    mount) options="$source --inodes --foreground --with --all --at-login --driver --allow-other --suid --dev --ahead --profile --idle --no-xattrs --passthrough --log --log-level --metrics --public --trace --record --learn --record-all --protected-xattr --xattr-gid -o" ;;
    umount) options="$output --lazy --force --all --at-login" ;;
    open) options="$source --inodes --driver --idle --ahead --no-xattrs --log --log-level" ;;
    repin) options="$output --dry-run" ;;
    ls) options="$source --long --recursive --human" ;;
    stat) options=$source ;;
    cat) options=$source ;;
    cp) options="$source --recursive --update --owners" ;;
    find) options="$source --name --type --ls --print0" ;;
    log) options="$source --number --full-hash" ;;
    diff) options="$source --stat --times" ;;
    fetch) options="$source --catalogs --profile --jobs" ;;
    info) options=$source ;;
    tags) options=$source ;;
    status) options="$output --watch" ;;
    check) options="$source --catalogs" ;;
    explain) options=$source ;;
    probe) options=$source ;;
    serve) options="$output --port --host --public --rtt --rate --follow-links" ;;
    bench) options="$output --key --fqrn --cache-limit --cache-lower --trust-at --blacklist --external --config --set --mirror --proxy --env --attestation --signer --strict --deadline --min-rate --follow-redirects --weak-key --workload --repeats --against --drivers --clients --rtt --rate --seed --output --driver" ;;
    bench-diff) options="$output --seed" ;;
    replay) options="$output --policy --size --by --warm" ;;
    mrc) options="$output --by --sample" ;;
    advise) options="$output --target --warm" ;;
    report) options="$output --output" ;;
    publish) options="$output --storage --from --at --delete --tag --message --keep-going --compression --hash --chunk-sizes --whole-file-hash --external --mtime-ns --dry-run --checksum --cross-directory-links --signing-key" ;;
    attest) options="$source --signing-key --output --register" ;;
    forget) options="$output --cache" ;;
    setup) options="$output --undo --dry-run --root" ;;
    doctor) options="$output --cache" ;;
    completion) options=$output ;;
    help) options=$output ;;
    version) options=$output ;;
    record) case ${COMP_WORDS[2]} in
      start) options=$output ;;
      stop) options=$output ;;
      *) options='start stop' ;;
    esac ;;
    trace) case ${COMP_WORDS[2]} in
      info) options=$output ;;
      show) options=$output ;;
      csv) options=$output ;;
      json) options=$output ;;
      head) options="$output --count" ;;
      import) options="$output --format --output" ;;
      export) options="$output --format --output" ;;
      *) options='info show csv json head import export' ;;
    esac ;;
    profile) case ${COMP_WORDS[2]} in
      make) options="$output --output" ;;
      show) options=$output ;;
      merge) options="$output --output" ;;
      diff) options=$output ;;
      *) options='make show merge diff' ;;
    esac ;;
    repo) case ${COMP_WORDS[2]} in
      create) options="$output --storage --signing-key --master-signing-key --days --hash --collectable" ;;
      resign) options="$output --storage --master-signing-key --days" ;;
      rotate-key) options="$output --storage --signing-key --master-signing-key --days" ;;
      info) options="$output --storage" ;;
      check) options="$output --storage --master-signing-key" ;;
      repair) options="$output --storage --master-signing-key --from" ;;
      gc) options="$output --storage --keep --yes" ;;
      mirror) options="$source --storage --tag --newest --jobs" ;;
      tag) options="$output --storage --signing-key --message --hash" ;;
      rollback) options="$output --storage --signing-key" ;;
      key) options="$output --master-signing-key --output" ;;
      *) options='create resign rotate-key info check repair gc mirror tag rollback key' ;;
    esac ;;
    key) case ${COMP_WORDS[2]} in
      generate) options="$output --output" ;;
      *) options='generate' ;;
    esac ;;
    cache) case ${COMP_WORDS[2]} in
      list) options="$output --cache" ;;
      size) options="$output --cache --by" ;;
      verify) options="$output --cache --repair" ;;
      clear) options="$output --cache" ;;
      evict) options=$source ;;
      keep) options="$source --jobs" ;;
      unkeep) options=$source ;;
      kept) options="$output --cache" ;;
      read-only) options=$output ;;
      *) options='list size verify clear evict keep unkeep kept read-only' ;;
    esac ;;
    config) case ${COMP_WORDS[2]} in
      show) options="$output --config --set --proxy --cache --offline" ;;
      path) options=$output ;;
      edit) options=$output ;;
      check) options="$output --config --set --proxy --cache --offline --probe" ;;
      *) options='show path edit check' ;;
    esac ;;
  esac
  if [[ $word == -* || $COMP_CWORD == 2 && $command =~ ^(record|trace|profile|repo|key|cache|config)$ ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  elif [[ $command =~ ^(umount|repin|record|cache|unmount)$ ]]; then
    local mountpoints
    mountpoints=$(awk '$3 == "fuse.pinfs" { print $2 }' /proc/mounts)
    mapfile -t COMPREPLY < <(compgen -W "$mountpoints" -- "$word")
  elif [[ $command == repo ]]; then
    mapfile -t COMPREPLY < <(compgen -W "add rm list" -- "$word")
  elif [[ $command == repo ]]; then
    mapfile -t COMPREPLY < <(compgen -W "export" -- "$word")
  elif [[ $command == completion ]]; then
    mapfile -t COMPREPLY < <(compgen -W "bash zsh fish" -- "$word")
  elif [[ $command == help ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands topic-pins topic-trust topic-cache topic-offline topic-exit-codes" -- "$word")
  elif [[ $command =~ ^(mount|open|ls|stat|cat|cp|find|log|diff|fetch|info|tags|check|explain|probe|bench|repo|attest|cache)$ ]]; then
    _pinfs_sources "$word"
  fi
}

# Where it gives nothing, files are offered.
complete -o default -F _pinfs pinfs
