#!/bin/sh
# restore.sh DIRECTORY < BACKUP: put a backup in the place of what a stopped store has in its data directory.
# What is there is moved aside. docs/operating.md says what must come after it, before any worker starts.
set -eu
directory=$1
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
