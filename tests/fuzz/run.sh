#!/usr/bin/env bash
# run.sh PROGRAM SECONDS: fuzzes in a temporary folder, from the seeds that make_corpus.py cuts from the unit tests' logs and
# the cases of cases/NAME, which hold what once went wrong, and corpus/NAME.tar.gz, what long runs found worth keeping. With
# FUZZ_KEEP=FOLDER the run's own corpus, made small, is left there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
seconds=$2
name=$(basename "$program")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/corpus"
python3 "$here/make_corpus.py" "$name" "$work/corpus" "$(dirname "$program")"
if [ -d "$here/cases/$name" ]; then cp "$here/cases/$name"/* "$work/corpus/"; fi
if [ -f "$here/corpus/$name.tar.gz" ]; then tar -xzf "$here/corpus/$name.tar.gz" -C "$work/corpus"; fi
cd "$work"
if ! "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
	-artifact_prefix="$work/" "$work/corpus" >"$work/log" 2>&1; then
	tail -n 40 "$work/log"
	mkdir -p "${FUZZ_FOUND:-/tmp}"
	for found in "$work"/crash-* "$work"/oom-* "$work"/timeout-* "$work"/leak-*; do
		if [ -f "$found" ]; then
			cp "$found" "${FUZZ_FOUND:-/tmp}/$name-$(basename "$found")"
			echo "kept ${FUZZ_FOUND:-/tmp}/$name-$(basename "$found"): add it to $here/cases/$name"
		fi
	done
	exit 1
fi
grep -E "stat::|cov:" "$work/log" | tail -n 6
if [ -n "${FUZZ_KEEP:-}" ]; then
	mkdir -p "$FUZZ_KEEP/$name"
	"$program" -merge=1 -max_len=4096 "$FUZZ_KEEP/$name" "$work/corpus" >"$work/log" 2>&1 || tail -n 5 "$work/log"
fi
