#!/bin/sh
# restore.sh DIRECTORY [HOST:PORT] < BACKUP: put a backup in the place of what a stopped store has in its data directory.
# What is there is moved aside. docs/operating.md says what must come after it, before any worker starts.
#
# A store that runs would go on with what it has in memory, and read the backup at its next start, when nobody expects
# it. So nothing is changed while one answers at HOST:PORT, or at the embedded store's socket (DIRECTORY.sock).
set -eu
directory=${1%/}
address=${2:-}

# What cannot be asked is taken for one that runs, unless nobody listens there.
runs() {
  if [ -n "$address" ]; then
    said=$(timeout 10 valkey-cli -h "${address%:*}" -p "${address##*:}" ping 2>&1) || true
    case $said in *"Could not connect"*) return 1 ;; esac
  else
    [ -S "$directory.sock" ] || return 1
    said=$(timeout 10 python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' \
      "$directory.sock" 2>&1) || true
    case $said in *ConnectionRefusedError*) return 1 ;; esac
  fi
}
if runs; then
  echo "a store runs at ${address:-$directory.sock} ($said): stop it first; nothing was changed" >&2
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
  echo "this is no snapshot of a store (dump.rdb); nothing was changed" >&2
  exit 1
  ;;
esac
if [ -e "$directory/appendonlydir" ]; then
  mv "$directory/appendonlydir" "$directory/appendonlydir.$(date +%Y%m%dT%H%M%S)"
fi
mv "$new" "$directory/appendonlydir"
echo "$directory/appendonlydir is now that of the backup"
