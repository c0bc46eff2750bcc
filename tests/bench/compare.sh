#!/usr/bin/env bash
# compare on a run of ten million items (make_run.c): time, processor time and peak memory of `rehearse compare`, three rounds, and
# of the report. Wanted: at most 30 s and 256 MB. gzip -dc of as many bytes as the run's pages hold goes beside it as a measure of the machine.
# Usage: tests/bench/compare.sh [ITEMS]
. "$(dirname "$0")/lib.sh"
items=${1:-10000000}
make_run=$(dirname "$REHEARSE")/make_run

machine
mkdir "$WORK/run"
"$make_run" "$WORK/run" "$items"
echo "run: $items items, $(du -sm "$WORK/run" | cut -f1) MB on disk"
for ((round = 1; round <= 3; round++)); do
	measured_any "$REHEARSE" compare "$WORK/run" -q
	echo "  compare            $REAL s (CPU $CPU s), peak memory $RSS MB; outcome code $CODE"
done
measured_any "$REHEARSE" report "$WORK/run" -q
echo "  report             $REAL s, peak memory $RSS MB; $(stat -c %s "$WORK/run/report.html") bytes of HTML (wanted: below 3 MB)"
seq 1 $((items * 7)) | gzip -1 >"$WORK/peer.gz"
measured_any gzip -dc "$WORK/peer.gz"
echo "  gzip -dc, $((items * 60 / 1000000)) MB    $REAL s"
