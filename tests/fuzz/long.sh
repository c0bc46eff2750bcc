#!/usr/bin/env bash
# long.sh BIN SECONDS [TARGET…]: each fuzz target of the build folder BIN for so long, one after the other, and a line of
# a table for each (docs/measurement.md, "Fuzzing"). Corpora made small go to FUZZ_KEEP, cases found to FUZZ_FOUND.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bin=$(realpath "$1")
seconds=$2
shift 2
if [ $# -eq 0 ]; then
	for program in "$bin"/fuzz_*; do set -- "$@" "$(basename "$program")"; done
fi
echo "| target | seconds | executions | edges covered | found |"
echo "| --- | --- | --- | --- | --- |"
for target in "$@"; do
	out=$("$here/run.sh" "$bin/$target" "$seconds" 2>&1)
	found=$?
	runs=$(printf '%s\n' "$out" | sed -n 's/.*number_of_executed_units: *//p' | tail -n 1)
	edges=$(printf '%s\n' "$out" | sed -n 's/.*cov: \([0-9]*\).*/\1/p' | tail -n 1)
	echo "| $target | $seconds | ${runs:-?} | ${edges:-?} | $([ $found -eq 0 ] && echo 0 || echo 1) |"
	if [ $found -ne 0 ]; then printf '%s\n' "$out" | tail -n 5 >&2; fi
done
