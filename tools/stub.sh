#!/bin/sh
# vmexit @VERSION@ for Linux on x86-64: this script, and behind it the program, unpacked on first run.
#
# It is unpacked to vmexit/HASH in the user's cache folder ($XDG_CACHE_HOME, or ~/.cache), where HASH
# is that of its content. A folder that is there already is trusted if no other user can have changed
# it. Without a usable cache it is unpacked to a temporary folder, which is removed after the run.
set -u

hash=@HASH@
payload_line=@PAYLOAD_LINE@
damaged=

checksums() {
  cat <<'END'
@CHECKSUMS@
END
}

payload() {
  tail -n "+$payload_line" -- "$self"
}

# Executes the program unpacked in `dir`.
start() { # ARG...
  case ${1-} in
    test) permissions='test' ;;
    *) permissions=default ;;
  esac
  # Deno keeps its compile cache beside the program. V8's flags are those of the launcher.
  v8=--no-lazy
  [ -n "${DENO_V8_FLAGS-}" ] || v8=$v8,--min-semi-space-size=8,--max-semi-space-size=8
  VMEXIT_PROGRAM=$self DENO_DIR=$dir/deno-cache DENO_NO_UPDATE_CHECK=1 \
    exec "$dir/deno" run --quiet --no-prompt --cached-only --no-lock -P=$permissions \
    --v8-flags=$v8 \
    --config="$dir/deno.json" "$dir/main.js" "$@"
}

# Whether only this user and root can have changed what is in a folder: it and its parent belong to
# this user alone, and the folders above belong to this user or root and are not writable by all.
trusted() { # DIR, absolute and without links
  [ -O "$1" ] || return 1
  set -- "$1"
  above=${1%/*}
  while [ -n "$above" ]; do
    set -- "$above" "$@"
    above=${above%/*}
  done
  # The C locale sorts / first and a folder before its content: the order of the arguments.
  modes=$(LC_ALL=C ls -ldn -- / "$@" 2>/dev/null) || return 1
  number=0
  user=
  owners=
  while read -r mode _ owner _; do
    number=$((number + 1))
    # In the end, of the folder itself.
    user=$owner
    owners="$owners $owner"
    case $mode in
      drwx------*) ;;
      d???????w[tT]* | d???????[!w]*) [ $number -lt $# ] || return 1 ;;
      *) return 1 ;;
    esac
  done <<END
$modes
END
  # More lines than folders: a name contains a newline.
  [ $number -eq $(($# + 1)) ] || return 1
  for each in $owners; do
    [ "$each" = 0 ] || [ "$each" = "$user" ] || return 1
  done
}

# Fills the empty folder `dir`; `why` says why it cannot.
unpack() {
  umask_was=$(umask)
  umask 077
  try_to_unpack
  unpacked=$?
  umask "$umask_was"
  [ -z "$damaged" ] || {
    printf 'vmexit: %s is damaged; get it anew\n' "$self" >&2
    exit 8
  }
  return $unpacked
}

try_to_unpack() {
  why="$dir: programs cannot be run from there"
  { printf '#!/bin/sh\n' >"$dir/probe" && chmod 700 "$dir/probe" && "$dir/probe"; } || return 1
  rm -f -- "$dir/probe"
  why="$dir: cannot be unpacked there, which takes @UNPACKED@"
  payload | gzip -dc | tar -xf - -C "$dir" || {
    payload | gzip -t || damaged=yes
    return 1
  }
  (cd -- "$dir" && checksums | sha256sum -c) >/dev/null || {
    damaged=yes
    return 1
  }
  why=$("$dir/deno" --version 2>&1)
} 2>/dev/null

# Sets `dir` to the program in the cache, unpacked if need be; `why` says why it cannot.
use_cache() {
  cache=${XDG_CACHE_HOME-}
  case $cache in
    /*) ;;
    *) cache=${HOME:+$HOME/.cache} ;;
  esac
  why='neither XDG_CACHE_HOME nor HOME names a folder'
  [ -n "$cache" ] || return 1
  cache=$cache/vmexit
  why="$cache cannot be made"
  [ -d "$cache" ] || (umask 077 && mkdir -p -- "$cache") 2>/dev/null || return 1
  cache=$(cd -P -- "$cache" 2>/dev/null && pwd -P) || return 1
  [ -d "$cache/$hash" ] || unpack_into_cache || return 1
  dir=$cache/$hash
  why="$dir: others may have changed it; see the owners and modes of the folders"
  trusted "$dir" || return 1
  why="$dir is damaged; remove it"
  [ -x "$dir/deno" ] && [ -r "$dir/main.js" ]
}

# Makes the program's folder atomically.
unpack_into_cache() {
  why="$cache cannot be written to"
  # Remains of runs that were killed.
  find "$cache" -name 'new.*' -prune -mtime +0 -exec rm -rf -- {} + 2>/dev/null
  dir=$(mktemp -d "$cache/new.XXXXXX" 2>/dev/null) || return 1
  remove_on_exit
  chmod 700 "$cache" 2>/dev/null
  printf 'vmexit: unpacking into %s/%s, once\n' "$cache" $hash >&2
  unpack
  unpacked=$?
  # If another run was faster, its folder stays.
  [ $unpacked -ne 0 ] || mv -T -- "$dir" "$cache/$hash" 2>/dev/null
  rm -rf -- "$dir"
  trap - EXIT INT HUP TERM QUIT
  return $unpacked
}

# Runs the program from a temporary folder, which is removed afterwards.
run_privately() { # ARG...
  printf 'vmexit: %s\n' "$why" >&2
  for place in "${TMPDIR-}" /tmp /var/tmp /dev/shm; do
    [ -n "$place" ] || continue
    dir=$(mktemp -d "$place/vmexit.XXXXXX" 2>/dev/null) || continue
    remove_on_exit
    if unpack; then
      printf 'vmexit: unpacked into %s for this run alone\n' "$dir" >&2
      run_and_wait "$@"
    fi
    rm -rf -- "$dir"
  done
  printf 'vmexit: %s\n' "$why" >&2
  echo 'vmexit: there is no folder to unpack into; set XDG_CACHE_HOME or TMPDIR' >&2
  exit 6
}

# Runs the program and exits with its code; the program ends with this script, however that ends.
run_and_wait() { # ARG...
  # A background process has only the stdin that it is given.
  if (: 3<&0) 2>/dev/null; then exec 3<&0; else exec 3</dev/null; fi
  (VMEXIT_STARTER=$$ && export VMEXIT_STARTER && start "$@") <&3 3<&- &
  child=$!
  for signal in INT HUP TERM; do
    # shellcheck disable=SC2064 # of this signal
    trap "kill -$signal $child 2>/dev/null" $signal
  done
  # A background process ignores it.
  trap 'kill -TERM $child 2>/dev/null' QUIT
  while wait $child; code=$?; [ $code -gt 128 ] && kill -0 $child 2>/dev/null; do :; done
  exit $code
}

remove_on_exit() {
  trap 'rm -rf -- "$dir"' EXIT
  trap 'exit 130' INT HUP TERM QUIT
}

# A closed stdout or stderr does not end this script before it has cleaned up.
trap '' PIPE
case $0 in
  */*) self=$0 ;;
  *) self=$(command -v -- "$0") || self=$0 ;;
esac
if use_cache; then start "$@"; fi
run_privately "$@"
# shellcheck disable=SC2317 # behind this is the payload
exit
@PAYLOAD@
