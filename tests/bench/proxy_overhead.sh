#!/usr/bin/env bash
# proxy_overhead.sh [SECONDS [ROUNDS]]: what the tracing proxy adds to a statement. pgbench with one client straight to the
# server and through `rehearse trace`, in turn; the rounds' average latencies, median and best. Reads are only passed on (wanted:
# at most 100 µs more); what changes rows or the schema is measured as well: locks, sizes, WAL, files, before it is told done.
. "$(dirname "$0")/lib.sh"
seconds=${1:-3}
rounds=${2:-5}

new_server clone
start_server clone
bench clone -i -q -s 10 >/dev/null 2>&1
target=$(url_of clone)

cat >"$WORK/read.sql" <<'SQL'
\set aid random(1, 1000000)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
SQL
cat >"$WORK/write.sql" <<'SQL'
\set aid random(1, 1000000)
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
SQL
echo "ALTER TABLE pgbench_history ALTER filler SET DEFAULT '';" >"$WORK/ddl.sql"

latency_ms() {
	sed -n 's/^latency average = \(.*\) ms$/\1/p' "$1"
}

# measure SCRIPT MODE: one line of a table.
measure() {
	local direct=() through=() round
	for ((round = 0; round < rounds; round++)); do
		"$PGBIN/pgbench" -n -M "$2" -T "$seconds" -f "$WORK/$1.sql" "$target" >"$WORK/direct"
		"$REHEARSE" trace --quiet --target "$target" -- bash -c \
			'"$1" -n -M "$2" -T "$3" -f "$4" "$DATABASE_URL" >"$5"' bash \
			"$PGBIN/pgbench" "$2" "$seconds" "$WORK/$1.sql" "$WORK/through" >/dev/null
		direct+=("$(latency_ms "$WORK/direct")")
		through+=("$(latency_ms "$WORK/through")")
	done
	python3 - "$1" "$2" "${direct[*]}" "${through[*]}" <<'PY'
import statistics, sys
kind, mode = sys.argv[1:3]
direct, through = ([float(ms) * 1000 for ms in text.split()] for text in sys.argv[3:5])
cells = [(statistics.median(direct), statistics.median(through)), (min(direct), min(through))]
print(f"| {kind} | {mode} | " + " | ".join(f"{d:.0f} | {t:.0f} | {t - d:+.0f}" for d, t in cells) + " |")
PY
}

machine
echo "| statement | protocol | straight, µs | through, µs | added, µs | best: straight | through | added |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- |"
for mode in simple extended prepared; do
	measure read "$mode"
done
measure write simple
measure write prepared
measure ddl simple
