#!/usr/bin/env bash
# Sees to the programs that `make test` starts: redis-server, mariadbd, chromium and curl, and a C compiler for the race
# detector; or, called as `install-test-deps.sh bench`, to those of `make bench`: redis-server, mariadbd and wrk; or, called
# as `install-test-deps.sh chaos`, to those of `make chaos`: redis-server and mariadbd. With all there it says nothing.
# What is missing it installs with apt-get when it may, and names otherwise, with exit status 1; only the compiler can be
# done without.
set -euo pipefail

purpose=${1:-tests}
case $purpose in
tests) user="the tests need" ;;
bench) user="the benchmark needs" ;;
chaos) user="the chaos needs" ;;
*)
  echo "usage: $0 [tests|bench|chaos]" >&2
  exit 2
  ;;
esac

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" # Debian keeps mariadbd there, and few users have it in PATH

have() { command -v "$1" >/dev/null 2>&1; }
have_chromium() { have chromium || have chromium-browser || have google-chrome || have google-chrome-stable; }

missing() {
  have redis-server || echo redis-server
  [ -n "${TEST_MYSQLD:-}" ] || { have mariadbd && have mariadb-install-db; } || echo mariadb-server
  if [ "$purpose" = bench ]; then
    have wrk || echo wrk
  fi
  if [ "$purpose" != tests ]; then
    return
  fi
  have_chromium || echo chromium
  have curl || echo curl
}

# The race detector links with the C library: a compiler without its headers does not help.
missing_compiler() {
  if [ "$purpose" = tests ] && ! { have "${CC:-gcc}" && echo '#include <stdlib.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1; }; then
    echo gcc libc6-dev
  fi
}

required=$(missing | paste -sd " " -)
optional=$(missing_compiler)
if [ -z "$required$optional" ]; then
  exit 0
fi

if [ "$(id -u)" = 0 ] && have apt-get; then
  echo "installing for the $purpose: $required${required:+${optional:+ }}$optional" >&2
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  # A policy of "no" keeps Debian from starting the servers: the tests start their own.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$log" "$policy"' EXIT
  fi
  # shellcheck disable=SC2086 # the lists are words
  if ! { apt-get update && apt-get install -y --no-install-recommends $required $optional; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "apt-get could not install: $required $optional" >&2
  fi
  required=$(missing | paste -sd " " -)
  optional=$(missing_compiler)
fi

if [ -n "$optional" ]; then
  echo "no C compiler: the tests will run without the race detector (Debian: apt-get install $optional)" >&2
fi
if [ -n "$required" ]; then
  echo "$user programs that are not installed. On Debian or Ubuntu, as root:" >&2
  echo "  apt-get install --no-install-recommends $required" >&2
  exit 1
fi
