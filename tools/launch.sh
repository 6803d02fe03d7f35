# shellcheck shell=sh
#
# Shared by the launchers `vmexit` and `dev`: finds Deno and decides where @std comes from, once. The
# file .setup keeps both, one a line: the Deno version wanted, the path of the one found, and the
# mapping of @std (`jsr`, `npm`, or empty while undecided). With that file in place nothing here
# starts a process.
#
# A launcher sets `root` to the project's folder and `prefetch` to a module whose dependencies are to
# be fetched, or to nothing; it sources this file and calls `launch_setup`. That sets
#   deno  the path of Deno's own binary
#   map   the flag that maps @std to the stand-ins; nothing where deno.json maps it
#   lock  the flag that names the lock file

launch_want=2.9.6 # the version that npx fetches
launch_want_major=2 # the oldest one on PATH that will do
launch_want_minor=9

launch_fail() { # LINE...: ends with vmexit's exit code for usage
  printf 'vmexit: %s\n' "$@" >&2
  exit 2
}

# Reads .setup. Fails where set-up is needed.
launch_recall() {
  [ -r "$root/.setup" ] || return 1
  { read -r launch_had && read -r deno && read -r std; } <"$root/.setup" || return 1
  [ "$launch_had" = "$launch_want" ] && [ -x "$deno" ] || return 1
  std=${VMEXIT_STD:-$std}
  [ -n "$std" ]
}

# Takes the Deno on PATH if it is new enough. Deno prints its own path: PATH may name a wrapper
# script.
launch_find_deno() {
  # shellcheck disable=SC2016 # the dollar signs are JavaScript's
  launch_found=$(deno eval --no-config 'console.log(`${Deno.version.deno} ${Deno.execPath()}`)' \
    </dev/null 2>/dev/null) || return 1
  deno=${launch_found#* }
  launch_major=${launch_found%%.*}
  launch_minor=${launch_found#*.}
  launch_minor=${launch_minor%%.*}
  [ "$launch_major" -gt $launch_want_major ] ||
    { [ "$launch_major" -eq $launch_want_major ] && [ "$launch_minor" -ge $launch_want_minor ]; }
}

# Takes the Deno that npm provides. npm may print more than that: the path follows a marker.
launch_fetch_deno() {
  launch_out=$(cd "$root" && npx --yes "deno@$launch_want" eval --no-config \
    'console.log("\ndeno is " + Deno.execPath())' </dev/null 2>&1) || return 1
  deno=${launch_out##*
deno is }
  deno=${deno%%
*}
  [ -x "$deno" ]
}

launch_probe_std() {
  "$deno" run --quiet --no-lock --no-prompt --allow-read="$root" --config="$root/deno.json" \
    "$root/tools/probe_std.ts" </dev/null >/dev/null 2>&1
}

# Finds what .setup lacks, and says so in one line.
launch_find() {
  case $(uname -sm) in
    'Linux x86_64') ;;
    *) launch_fail "runs on Linux x86-64 only, and this is $(uname -sm)." ;;
  esac
  printf 'vmexit: setting up: ' >&2
  if ! launch_find_deno; then
    if ! command -v npx >/dev/null; then
      echo 'Deno is missing.' >&2
      launch_fail \
        "found neither Deno $launch_want_major.$launch_want_minor or newer nor npx on PATH." \
        'install Deno, or Node.js with npm, and run this again.'
    fi
    printf 'fetching Deno %s with npx... ' "$launch_want" >&2
    if ! launch_fetch_deno; then
      printf 'failed:\n%s\n' "$launch_out" >&2
      launch_fail "npx cannot run Deno $launch_want." \
        'install Deno, or let npm reach its registry, and run this again.'
    fi
  fi
  if [ -n "${VMEXIT_STD-}" ]; then
    std=$VMEXIT_STD
    echo "@std by way of $std, as VMEXIT_STD says." >&2
  elif launch_probe_std; then
    std=jsr
    echo '@std comes from JSR.' >&2
  else
    std=npm
    echo 'JSR is out of reach; stand-ins replace @std.' >&2
  fi
}

launch_prefetch() {
  launch_out=$(
    "$deno" cache --quiet --config="$root/deno.json" ${map:+"$map"} "$lock" "$root/$prefetch" \
      "$root/tools/packages.ts" </dev/null 2>&1
  ) && return
  printf '%s\n' "$launch_out" >&2
  launch_fail "cannot fetch the packages that it is made of (@std by way of $std)." \
    'see that the network lets npm through, or set VMEXIT_STD=npm or jsr, and run this again.'
}

# Writes .setup atomically. A read-only folder is not an error.
launch_remember() {
  # VMEXIT_STD counts for one run only.
  [ -z "${VMEXIT_STD-}" ] || std=
  {
    printf '%s\n' "$launch_want" "$deno" "$std" >"$root/.setup.$$" &&
      mv -f "$root/.setup.$$" "$root/.setup"
  } 2>/dev/null || :
}

# shellcheck disable=SC2034,SC2154 # the launchers share these variables
launch_setup() {
  case ${VMEXIT_STD-} in
    '' | jsr | npm) ;;
    *) launch_fail "VMEXIT_STD is \"$VMEXIT_STD\"; it must be jsr or npm." ;;
  esac
  launch_known=yes
  launch_recall || { launch_known=no && launch_find; }
  map=--import-map=$root/std/npm.json
  lock=--lock=$root/deno.lock
  if [ "$std" = jsr ]; then
    # deno.lock lists npm packages. Deno adds those of JSR to a copy, so that no run changes the tree.
    map=
    lock=--lock=$root/.setup.lock
    [ -e "$root/.setup.lock" ] || cp "$root/deno.lock" "$root/.setup.lock" 2>/dev/null ||
      lock=--no-lock
  fi
  [ $launch_known = no ] || return 0
  [ -z "$prefetch" ] || launch_prefetch
  launch_remember
}

# Writes .setup.d, see tools/bundle.ts. An empty main.js says that bundling fails here.
launch_bundle() {
  "$deno" run --quiet --no-prompt --allow-read --allow-write --allow-env --allow-run \
    --config="$root/deno.json" ${map:+"$map"} "$lock" "$root/tools/bundle.ts" ${map:+"$map"} "$lock" \
    </dev/null >/dev/null 2>&1 || { mkdir -p "$root/.setup.d" && : >"$program"; }
}

# Sets `program` to the bundle, which is rebuilt when a source is newer, or to main.ts without one.
# The program loads nothing over the network, so the packages of main.ts must be in the cache.
# shellcheck disable=SC3013 # dash, bash, ksh and busybox all know -nt
launch_program() {
  program=$root/.setup.d/main.js
  if [ -z "${VMEXIT_STD-}" ] && [ -w "$root" ]; then
    launch_stale=no
    [ -e "$program" ] || launch_stale=yes
    for launch_source in "$root/main.ts" "$root/deno.json" "$root/tools/bundle.ts" "$root"/std/* "$root"/ffi/*.ts \
      "$root"/src/*.ts "$root"/src/*/*.ts "$root"/src/*/*/*.*; do
      [ ! "$launch_source" -nt "$program" ] || launch_stale=yes
    done
    [ $launch_stale = no ] || launch_bundle 2>/dev/null
  fi
  [ -z "${VMEXIT_STD-}" ] && [ -s "$program" ] && return
  program=$root/main.ts
  [ $launch_known = no ] || launch_prefetch
}
