# What the benchmarks share: a PostgreSQL of their own in a temporary folder, the median, and cleaning up. Source it.

set -euo pipefail
export LC_ALL=C

REHEARSE=${REHEARSE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/release/bin/rehearse}
PGBIN=${PGBIN:-$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)}
WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/rehearse-bench.XXXXXX")
chmod 711 "$WORK"

# The server refuses root.
as_server() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid postgres --regid postgres --init-groups "$@"
	else
		"$@"
	fi
}

servers=()
finish() {
	for data in "${servers[@]}"; do
		as_server "$PGBIN/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1 || true
	done
	rm -rf "$WORK"
}
trap finish EXIT
trap 'exit 130' INT TERM

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# new_server NAME LINE…: initdb with those lines of configuration; not started.
new_server() {
	local name=$1 data=$WORK/$1
	shift
	mkdir "$data"
	[ "$(id -u)" != 0 ] || chown postgres "$data"
	as_server "$PGBIN/initdb" -D "$data" -A trust -U postgres --no-sync >/dev/null
	{
		echo "listen_addresses = '127.0.0.1'"
		echo "unix_socket_directories = '$data'"
		echo "fsync = off"
		echo "shared_buffers = 512MB"
		echo "max_wal_size = 8GB"
		echo "rehearse.clone = 'benchmark'"
		echo "log_line_prefix = '%m [%p] '"
		printf '%s\n' "$@"
	} >>"$data/postgresql.conf"
	echo "port = $(free_port)" >>"$data/postgresql.conf"
	servers+=("$data")
}

start_server() {
	as_server "$PGBIN/pg_ctl" -D "$WORK/$1" -l "$WORK/$1/server.log" -w -t 60 "${@:2}" start >/dev/null
}

stop_server() {
	as_server "$PGBIN/pg_ctl" -D "$WORK/$1" -m fast -w -t 60 stop >/dev/null
}

port_of() {
	sed -n 's/^port = //p' "$WORK/$1/postgresql.conf" | tail -n 1
}

url_of() {
	echo "postgresql://postgres@127.0.0.1:$(port_of "$1")/postgres"
}

# copy_server FROM TO LINE…: a copy of a stopped server, on a port of its own, with further lines of configuration.
copy_server() {
	local data=$WORK/$2
	cp -a "$WORK/$1" "$data"
	sed -i "s/^port = .*//" "$data/postgresql.conf"
	printf '%s\n' "port = $(free_port)" "unix_socket_directories = '$data'" "${@:3}" >>"$data/postgresql.conf"
	servers+=("$data")
}

# bench NAME ARGUMENT…: pgbench against that server.
bench() {
	"$PGBIN/pgbench" -h 127.0.0.1 -p "$(port_of "$1")" -U postgres "${@:2}" postgres
}

# The settings that make a server log what a replay needs.
LOGGED=("logging_collector = on" "log_destination = csvlog" "log_statement = all" "log_connections = on"
	"log_disconnections = on" "log_rotation_size = 0" "log_rotation_age = 0")

# json FILE PATH…: the value at a path of a JSON file.
json() {
	python3 -c '
import json, sys
value = json.load(open(sys.argv[1]))
for name in sys.argv[2:]:
    value = value[name]
print(value)' "$@"
}

median() {
	python3 -c 'import statistics, sys; print(statistics.median(float(x) for x in sys.argv[1:]))' "$@"
}

# timed COMMAND…: runs it silently; sets REAL, USER_S and SYS_S in seconds.
timed() {
	local TIMEFORMAT='%R %U %S' times
	times=$({ time "$@" >"$WORK/timed.out" 2>&1; } 2>&1) || { cat "$WORK/timed.out" >&2; return 1; }
	read -r REAL USER_S SYS_S <<<"$times"
}

machine() {
	echo "machine: $(nproc) cores, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | sed 's/^ //'), load $(cut -d' ' -f1-3 /proc/loadavg)"
}

# measured_any COMMAND…: runs it silently; sets REAL and CPU in seconds, RSS in megabytes, and its exit CODE.
measured_any() {
	read -r REAL CPU RSS CODE < <(python3 - "$@" <<'PY'
import resource, subprocess, sys, time
start = time.monotonic()
run = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
real = time.monotonic() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
sys.stderr.write(run.stderr.decode() if run.returncode > 3 or run.returncode < 0 else "")
print(f"{real:.3f} {used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss / 1024:.1f} {run.returncode}")
PY
	)
}

# measured COMMAND…: the same, of a command that has to succeed.
measured() {
	measured_any "$@"
	[ "$CODE" = 0 ]
}
