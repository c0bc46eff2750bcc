#!/bin/bash
# Installs what is missing (Debian packages), builds with warnings as errors, and runs every test: unit, golden and
# PostgreSQL tests, the reports in a browser, all but these and the long ones once more under AddressSanitizer and UBSan, the unit tests
# under valgrind, a short round of each fuzz target, and a look at the formatting. Ends with one line, "N passed, N failed"; the exit
# code is 0 when nothing failed. Logs are in build/test-logs.
set -u
cd "$(dirname "$0")/.." || exit 70
# shellcheck source=tools/packages.sh
. tools/packages.sh

passed=0
failed=0
logs=build/test-logs
jobs=$(nproc)

say()
{
	printf '%s\n' "$*"
}

# check NAME COMMAND…: one thing that passes or fails; its output is shown when it fails.
check()
{
	local name=$1 log
	shift
	log=$logs/${name//[^a-zA-Z0-9]/-}.log
	if "$@" >"$log" 2>&1 </dev/null; then
		passed=$((passed + 1))
		say "ok    $name"
	else
		failed=$((failed + 1))
		say "FAIL  $name ($log)"
		tail -n 40 "$log" | sed 's/^/      /'
		return 1
	fi
}

# build PRESET [--target TARGETS…]
build()
{
	cmake --preset "$1" && cmake --build --preset "$1" -j "$jobs" "${@:2}"
}

# suite PRESET LABELS LEFT_OUT: CTest's tests with these labels, but for those with others, each counted by itself.
suite()
{
	local preset=$1 labels=$2 log=$logs/ctest-$1.log ok bad
	ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure -L "$labels" -LE "$3" --no-tests=error </dev/null >"$log" 2>&1
	local code=$?
	ok=$(grep -c '^ *[0-9]*/[0-9]* Test .* Passed ' "$log")
	bad=$(grep -cE '^ *[0-9]+/[0-9]+ Test .*\*\*\*' "$log")
	if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then
		bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	if [ "$bad" -eq 0 ]; then
		say "ok    tests ($preset: $labels): $ok"
	else
		say "FAIL  tests ($preset: $labels): $ok passed, $bad failed ($log)"
		grep -vE ' Passed |^ +Start ' "$log" | tail -n 80 | sed 's/^/      /'
	fi
}

# Every leak counts, and so does every error; what is still reachable at exit does not. All programs, $jobs at a time; each
# leaves what it said and its exit code.
valgrind_all()
{
	# shellcheck disable=SC2016 # for the shell that xargs starts
	printf '%s\0' "$@" | logs=$logs xargs -0 -n 1 -P "$jobs" bash -c '
		name=$logs/memory-$(basename "$1")
		valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect \
			--suppressions=tests/valgrind.supp "$1" >"$name.log" 2>&1 </dev/null
		echo $? >"$name.code"' -
}

valgrind_said()
{
	cat "$logs/memory-$1.log"
	[ "$(cat "$logs/memory-$1.code")" -eq 0 ]
}

formatted()
{
	git ls-files -z '*.c' '*.h' | xargs -0 -r clang-format --dry-run --Werror
}

# Scripts parse; sources end with a line end and carry no blanks at a line's end.
tidy()
{
	local file bad=0
	for file in $(git ls-files '*.sh' .ci/run); do
		bash -n "$file" || bad=1
	done
	if git grep -nIE '[[:blank:]]+$' -- '*.c' '*.h' '*.sh' '*.cmake' '*CMakeLists.txt'; then
		bad=1
	fi
	return "$bad"
}

# shellcheck disable=SC2086 # lists of words
packages_install $packages_build $packages_run $packages_test || exit 69
mkdir -p "$logs"

check "formatting" formatted
check "scripts and blanks" tidy
if check "build dev" build dev; then
	suite dev 'unit|golden|pg|browser' slow
	mapfile -t programs < <(basename -s .c tests/unit/test_*.c)
	valgrind_all "${programs[@]/#/build/dev/bin/}"
	for program in "${programs[@]}"; do check "valgrind $program" valgrind_said "$program"; done
fi
if check "build asan" build asan; then
	suite asan 'unit|golden|pg' 'slow|long'
fi
if compgen -G 'tests/fuzz/fuzz_*.c' >/dev/null; then
	mapfile -t fuzzers < <(basename -s .c tests/fuzz/fuzz_*.c)
	if check "build fuzz" build fuzz --target "${fuzzers[@]}"; then
		suite fuzz fuzz slow
	fi
fi
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
