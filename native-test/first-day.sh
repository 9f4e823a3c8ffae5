#!/usr/bin/env bash
# The first day of somebody with a new machine, typed into tmux: the package is installed, a repository served, named in the
# settings, mounted by that name, looked at, copied with an interruption, watched, unmounted. After each command the screen
# has to say what it should. `native-test/first-day.sh RECORDING SHELL…`: SHELL enters the machine, which has /pinfs.deb and
# /srv with the repository of the demo and its key; the screens are written to RECORDING. The demo is that of this checkout.
# .ci/package plays it in a clean root.
set -euo pipefail
recording=$1
shift
terminal() { command tmux -L "pinfs-first-day-$$" -f /dev/null "$@"; }
trap 'terminal kill-server 2>/dev/null || true' EXIT
: >"$recording"
prompt='day> '

screen() { terminal capture-pane -p -t "$window" | sed -e 's/ *$//' -e '/./,$!d'; }

# Waits until the whole screen fits a pattern (an extended regular expression; ~ stands for the end of a line).
sees() { # what, pattern, seconds
  local shown='' until=$((SECONDS + ${3:-30}))
  while [ $SECONDS -lt $until ]; do
    shown=$(screen)
    if tr '\n' '~' <<<"$shown" | grep -qE "$2"; then
      printf -- '-- %s\n%s\n' "$1" "$shown" >>"$recording"
      return 0
    fi
    sleep 0.2
  done
  printf 'not ok: %s: the screen does not fit %s\n%s\n' "$1" "$2" "$shown" >&2
  exit 1
}

# Types a command on a blank screen. The pattern says all that stands between the command and the next prompt.
day() { # what, command, pattern, seconds
  terminal send-keys -t "$window" C-l
  sees "$1: blank" "^${prompt% }~*$" >/dev/null
  terminal send-keys -t "$window" -l "$2"
  terminal send-keys -t "$window" Enter
  [ -z "${3:-}" ] || sees "$1" "^${prompt}[^~]*~$3${prompt% }~*$" "${4:-30}"
}

open() { # name of the window, shell...
  window=$1
  shift
  terminal new-window -n "$window" "$(printf '%q ' "$@")"
  sees "window $window" "${prompt% }~*$"
}

window=first
terminal new-session -d -s day -n first -x 220 -y 40 "$(printf '%q ' "$@")"
sees 'a shell' "${prompt% }~*$"

day 'install' 'dpkg -i /pinfs.deb >/dev/null 2>&1; pinfs --version' '[0-9]+\.[0-9]+\.[0-9]+~' 120

open server "$@"
day 'serve' 'pinfs serve /srv --port 8123 --rate 40K' ''
sees 'serve' "~http://127.0.0.1:8123/analysis.example.org~serving /srv at http://127.0.0.1:8123; end with Ctrl-C~*$"

window=first
settings='key = "/srv/analysis.example.org.pub"\n[sources.analysis]\nsource = "http://127.0.0.1:8123/analysis.example.org"\n'
# shellcheck disable=SC2016
day 'settings' "mkdir -p /root/.config/pinfs; printf '$settings' > /root/.config/pinfs/config.toml; pinfs config path" \
  '/root/.config/pinfs/config.toml~'

day 'mount by its name' 'pinfs mount analysis@2015-legacy /mnt' \
  'analysis.example.org is mounted on /mnt \(process [0-9]+, kernel\)~trust: verified: revision 4, named "2015-legacy" by the history of: the signed revision 5 of 2024-05-06T09:00:00Z, vouched for by the key /srv/analysis.example.org.pub~'

day 'log' 'pinfs log analysis' 'REVISION  PUBLISHED {13}ROOT HASH {5}TAGS {26}DESCRIPTION~ {7}5  2024-05-06T09:00:00Z  7011a0e56a8a  2024-open-data, trunk {9}Two recovered runs[^~]*~ {7}4  2015-09-21T09:00:00Z  04d77435a9ac  2015-legacy, trunk-previous {3}Same data as 2010[^~]*~ +3 [^~]*~ +2 [^~]*2010-reprocessing [^~]*~ +1 [^~]*~ +0 [^~]*~'

day 'ls' 'ls /mnt; pinfs ls analysis@2015-legacy /data' \
  'LICENSE +README +README.md +bin +conditions +data +docs +lib +software~.cvmfscatalog~cosmics~dimuon~'

day 'copy, with Ctrl-C' 'pinfs cp -r analysis@2015-legacy / /root/copy' ''
sees 'the bar' 'copied [=-]+ [1-9][0-9]*/44  [0-9]+:[0-9][0-9] left, [0-9.]{1,6} (B|KiB)/s, [0-9.]{1,6} (B|KiB) of 520.4 KiB~*$'
terminal send-keys -t "$window" C-c
sees 'interrupted' "pinfs: interrupted: [0-9]+ of 44 copied; the same command goes on~+${prompt% }~*$"
day 'the same command goes on' 'pinfs cp -r analysis@2015-legacy / /root/copy && diff -r /mnt /root/copy && echo same' \
  'copied 44, [0-9.]+ KiB [^~]*~same~' 90

day 'watch' 'pinfs status --watch /mnt' ''
sees 'the table' 'HITS +BYTES/S +REQUESTS/S +QUEUE +ERRORS +TRUST +MOUNTPOINT +SNAPSHOT~[^~]* verified +/mnt +'
terminal send-keys -t "$window" q
sees 'and it ends' "${prompt% }~*$"

day 'unmount' 'pinfs umount /mnt && pinfs status' 'no pinfs mounts~'
window=server
terminal send-keys -t "$window" C-c
sees 'the server ends' "${prompt% }~*$"

cd "$(dirname "$0")/.."
open demo env "PS1=$prompt" bash --norc --noprofile
terminal send-keys -t demo -l 'npm run --silent demo'
terminal send-keys -t demo Enter
sees 'demo' '42~~unmounted; everything worked~~--- what to try next~[^~]*pinfs mount [^~]*~[^~]*pinfs log [^~]*~pinfs help topic-pins~' 120
terminal send-keys -t demo Enter
sees 'the demo ends' "${prompt% }~*$"
