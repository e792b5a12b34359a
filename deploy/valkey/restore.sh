#!/bin/sh
# restore.sh DIRECTORY [HOST:PORT] < BACKUP: replaces the data of a stopped store by a backup. The previous data is moved
# aside. docs/operating.md describes the steps after it, which come before any worker starts.
#
# A running store would keep its data in memory, and load the backup at its next, unexpected start. So nothing is changed
# while a store answers at HOST:PORT, or at the embedded store's socket (DIRECTORY.sock).
set -eu
directory=${1%/}
address=${2:-}

# Returns success unless the connection is refused: an unclear answer counts as a running store.
runs() {
  if [ -n "$address" ]; then
    answer=$(timeout 10 valkey-cli -h "${address%:*}" -p "${address##*:}" ping 2>&1) || true
    case $answer in *"Could not connect"*) return 1 ;; esac
  else
    [ -S "$directory.sock" ] || return 1
    answer=$(timeout 10 python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' \
      "$directory.sock" 2>&1) || true
    case $answer in *ConnectionRefusedError*) return 1 ;; esac
  fi
}
if runs; then
  echo "a store runs at ${address:-$directory.sock} ($answer): stop it first. Nothing was changed" >&2
  exit 1
fi

new=$directory/appendonlydir.new
rm -rf "$new"
mkdir -p "$directory"
mkdir -m 700 "$new"
# A store with `appendonly yes` reads no dump.rdb, but its append-only file may begin with one.
cat > "$new/appendonly.aof.1.base.rdb"
echo "file appendonly.aof.1.base.rdb seq 1 type b" > "$new/appendonly.aof.manifest"
case $(head -c 6 "$new/appendonly.aof.1.base.rdb") in
REDIS* | VALKEY) ;;
*)
  rm -r "$new"
  echo "the input is not a snapshot of a store: pass a dump.rdb. Nothing was changed" >&2
  exit 1
  ;;
esac
if [ -e "$directory/appendonlydir" ]; then
  mv "$directory/appendonlydir" "$directory/appendonlydir.$(date +%Y%m%dT%H%M%S)"
fi
mv "$new" "$directory/appendonlydir"
echo "$directory/appendonlydir now contains the backup"
