#!/bin/sh
# restore.sh BACKUP DIRECTORY: put a backup in the place of what a stopped store has in its data directory.
# What is there is moved aside. docs/operating.md says what must come after it, before any worker starts.
set -eu
backup=$1 directory=$2
case $(head -c 6 "$backup") in
REDIS* | VALKEY) ;;
*) echo "$backup is no snapshot of a store (dump.rdb)" >&2 && exit 1 ;;
esac
if [ -e "$directory/appendonlydir" ]; then
  mv "$directory/appendonlydir" "$directory/appendonlydir.$(date +%Y%m%dT%H%M%S)"
fi
# A store with `appendonly yes` reads no dump.rdb, but its append-only file may begin with one.
mkdir -m 700 "$directory/appendonlydir.new"
cp "$backup" "$directory/appendonlydir.new/appendonly.aof.1.base.rdb"
echo "file appendonly.aof.1.base.rdb seq 1 type b" > "$directory/appendonlydir.new/appendonly.aof.manifest"
mv "$directory/appendonlydir.new" "$directory/appendonlydir"
echo "$directory/appendonlydir is now that of $backup"
