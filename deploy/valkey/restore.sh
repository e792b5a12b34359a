#!/bin/sh
# restore.sh DIRECTORY [HOST:PORT] [--stopped] < BACKUP: replaces the data of a stopped store by a backup. The previous data
# is moved aside. docs/how-to/operating.md describes the steps after it, which come before any worker starts.
#
# A running store would keep its data in memory, and load the backup at its next, unexpected start. So nothing is changed
# unless the connection to HOST:PORT, or to the embedded store's socket (DIRECTORY.sock), is refused, or HOST is unknown.
# --stopped states that the store is stopped. It is required if there is no address, or if the address cannot be reached.
# A store that answers is never replaced.
set -eu
directory=${1%/}
shift
address=
stopped=
for argument; do
  case $argument in
  --stopped) stopped=yes ;;
  *:*) address=$argument ;;
  *)
    echo "unknown argument $argument: pass HOST:PORT or --stopped. Nothing was changed" >&2
    exit 2
    ;;
  esac
done

# Prints the answer of the store, or why there is none.
ask() {
  if [ -n "$address" ] && ! command -v valkey-cli > /dev/null; then
    echo "Could not connect: valkey-cli is not installed"
  elif [ -n "$address" ]; then
    timeout 10 valkey-cli -h "${address%:*}" -p "${address##*:}" ping 2>&1
  elif [ -S "$directory.sock" ]; then
    timeout 10 python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print("connected")' \
      "$directory.sock" 2>&1
  else
    echo "Could not connect: no HOST:PORT is given"
  fi
}
answer=$(ask) || true
case $answer in
*"Could not connect"*": Connection refused" | *ConnectionRefusedError*) ;;
*"Could not connect"*": Name or service not known" | *"Could not connect"*": Name does not resolve") ;; # glibc, musl
*"Could not connect"*)
  if [ -z "$stopped" ]; then
    echo "a store may run at ${address:-$directory} ($answer):" \
      "stop it, then pass its HOST:PORT, or --stopped. Nothing was changed" >&2
    exit 1
  fi
  ;;
*)
  echo "a store runs at ${address:-$directory.sock} (${answer:-no answer in 10 s}): stop it first. Nothing was changed" >&2
  exit 1
  ;;
esac

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
