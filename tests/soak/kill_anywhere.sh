#!/usr/bin/env bash
# kill -9 at random moments of test-migration and create-snapshot: the program's whole process group, its guardians, and in
# each third round its servers too, as a power loss would. Then `cleanup`, which has the records on disk and nothing else, and a
# look at what is left: processes, folders, records, shared memory. Exit code 1 when there is anything.
# Usage: tests/soak/kill_anywhere.sh [ROUNDS] [SEED]
. "$(dirname "$0")/../bench/lib.sh"
rounds=${1:-20}
RANDOM=${2:-$$}
export REHEARSE_STATE_DIR=$WORK/state TMPDIR=$WORK/clones
mkdir "$TMPDIR"
chmod 711 "$TMPDIR"

new_server source "${LOGGED[@]}"
start_server source
bench source -i -q -s 5 >/dev/null 2>&1
stop_server source
rm -f "$WORK"/source/log/*
copy_server source backup
start_server source
bench source -n -c 4 -j 1 -T 2 >/dev/null 2>&1
stop_server source
logs=("$WORK"/source/log/*.csv)
echo 'ALTER TABLE pgbench_accounts ALTER abalance TYPE bigint;' >"$WORK/wider.sql"

# The two commands under test, in a session of their own; the pid of their process group is in $group.
begin() {
	if [ "$1" = test-migration ]; then
		setsid "$REHEARSE" test-migration "${logs[@]}" --source "$WORK/backup" --migration "$WORK/wider.sql" \
			-o "$WORK/run" --replace -q >"$WORK/said" 2>&1 &
	else
		setsid "$REHEARSE" create-snapshot --source "$WORK/backup" --name soak --lanes 3 --cold-cache -q \
			>"$WORK/said" 2>&1 &
	fi
	group=$!
}

# Programs that work in the clones' folder.
processes() {
	local count=0 cwd
	for cwd in /proc/[0-9]*/cwd; do
		case $(readlink "$cwd" 2>/dev/null || true) in
		"$TMPDIR"*) count=$((count + 1)) ;;
		esac
	done
	echo "$count"
}

entries() {
	find "$1" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l
}

# Stopped first, so that all of it ends in one moment.
kill_all() {
	kill -STOP "$group" 2>/dev/null || true
	for guardian in $(pgrep -P "$group" -x rehearse-guard || true); do kill -9 "$guardian" 2>/dev/null || true; done
	[ "$1" = 0 ] || pkill -9 -f "^[^ ]*postgres .*$TMPDIR/rehearse-" || true
	kill -9 -- "-$group" 2>/dev/null || kill -9 "$group" 2>/dev/null || true
	wait "$group" 2>/dev/null || true
}

# How long each takes when nobody disturbs it.
declare -A takes
for command in test-migration create-snapshot; do
	start=$(date +%s%N)
	begin "$command"
	wait "$group" || true
	takes[$command]=$((($(date +%s%N) - start) / 1000000))
	echo "$command undisturbed: ${takes[$command]} ms"
done
"$REHEARSE" cleanup --all -q >/dev/null

machine
segments=$(ls /dev/shm | grep -c '^PostgreSQL' || true)
printf '%-3s %-16s %8s %8s   %s\n' '' command 'after ms' servers 'left: records, folders, processes; after cleanup'
bad=0
for ((i = 1; i <= rounds; i++)); do
	command=$([ $((i % 2)) = 0 ] && echo create-snapshot || echo test-migration)
	servers_too=$((i % 3 == 0))
	after=$(((RANDOM * 32768 + RANDOM) % ${takes[$command]}))
	begin "$command"
	sleep "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))"
	kill_all "$servers_too"
	before="$(entries "$REHEARSE_STATE_DIR/clones"), $(entries "$TMPDIR"), $(processes)"
	"$REHEARSE" cleanup >"$WORK/cleaned" 2>&1 || { cat "$WORK/cleaned"; bad=$((bad + 1)); }
	# A snapshot that was finished before the blow is no leftover.
	finished=
	if grep -q 'kept soak-baseline: a snapshot' "$WORK/cleaned"; then
		finished=' (the snapshot was finished, and is removed by name)'
		"$REHEARSE" destroy-snapshot soak -q >/dev/null || bad=$((bad + 1))
	fi
	for ((look = 0; look < 50; look++)); do
		left="$(entries "$REHEARSE_STATE_DIR/clones"), $(entries "$TMPDIR"), $(processes)"
		[ "$left" != '0, 0, 0' ] || break
		sleep 0.1
	done
	[ "$left" = '0, 0, 0' ] || bad=$((bad + 1))
	printf '%-3d %-16s %8d %8s   %s; %s%s\n' "$i" "$command" "$after" "$([ "$servers_too" = 1 ] && echo killed || echo -)" \
		"$before" "$left" "$finished"
done
echo "dynamic shared memory of PostgreSQL servers: $segments before, $(ls /dev/shm | grep -c '^PostgreSQL' || true) after"
echo "$rounds rounds, $bad with something left"
[ "$bad" = 0 ]
