#!/bin/bash
# Runs a command on two machines made of one, each with a name, a network and a hosts file of its own:
#   unshare --map-root-user --net --uts --mount two_machines.sh LOGS COMMAND...
# or, where that is not allowed, twice on this one: ALONE=1 two_machines.sh LOGS COMMAND...
# A machine on which the command fails is started once more; LOGS/NAME-N.log is its N-th output.
set -eu
export logs=$1
shift

machine() { # NAME ADDRESS COMMAND...
  export MACHINE=$1
  if [ -z "${ALONE:-}" ]; then
    plug_in "$1" "$2"
  else # both have the name of the one where torchrun's processes meet
    export PET_RDZV_CONF="is_host=$([ "$1" = first ] && echo 1 || echo 0)"
  fi
  shift 2
  for start in 1 2; do
    if "$@" >"$logs/$MACHINE-$start.log" 2>&1; then return; fi
  done
  exit 1
}

plug_in() { # NAME ADDRESS
  hostname "$1"
  printf '%s\n' '127.0.0.1 localhost' '10.0.0.1 first' '10.0.0.2 second' >"$logs/$1-hosts"
  mount --bind "$logs/$1-hosts" /etc/hosts
  ip link set lo up
  until ip link show eth0 >/dev/null 2>&1; do sleep 0.1; done
  ip address add "$2/24" dev eth0
  ip link set eth0 up
}

export -f machine plug_in
apart=(unshare --net --uts --mount)
if [ -n "${ALONE:-}" ]; then apart=(); fi
"${apart[@]}" bash -euc 'machine "$@"' _ first 10.0.0.1 "$@" &
first=$!
"${apart[@]}" bash -euc 'machine "$@"' _ second 10.0.0.2 "$@" &
second=$!
if [ -z "${ALONE:-}" ]; then
  own=$(readlink /proc/self/ns/net)
  for pid in $first $second; do
    while [ "$(readlink "/proc/$pid/ns/net")" = "$own" ]; do sleep 0.1; done
  done
  ip link add eth0 netns $first type veth peer name eth0 netns $second
fi
wait $first
wait $second
