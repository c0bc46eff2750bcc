#!/bin/sh
# Golden files for the command line. A case is a transcript: each "$ command" is run by sh in an empty folder, and what
# it wrote must be what stands below it: "1| " standard output, "2| " standard error, "= " the exit code. Lines of
# another kind are comments.
#
#   tests/golden/run.sh PROGRAM CASE.golden…            compares; exit code 0 when all are the same
#   tests/golden/run.sh --update PROGRAM CASE.golden…   writes what the program says now into the cases: read the diff
#
# In the commands, `rehearse` is the program, $data the folder tests/golden/data.
set -u
update=
if [ "$1" = --update ]; then
	update=yes
	shift
fi
program=$(realpath "$1")
shift
data=$(realpath "$(dirname "$0")")/data
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bin"
ln -s "$program" "$scratch/bin/rehearse"
failed=0

# Paths that differ from run to run get a name.
tame()
{
	sed -e "s#$scratch/work#WORK#g" -e "s#$data#DATA#g" -e "s#^#$1#" "$2"
}

transcript()
{
	mkdir -p "$scratch/work"
	cd "$scratch/work" || exit 70
	while IFS= read -r line || [ -n "$line" ]; do
		case "$line" in
		'$ '*)
			printf '%s\n' "$line"
			env -i PATH="$scratch/bin:$PATH" HOME="$scratch/work" TMPDIR="$scratch" LC_ALL=C.UTF-8 TZ=UTC data="$data" \
				ASAN_OPTIONS="${ASAN_OPTIONS:-}" sh -c "${line#??}" >"$scratch/out" 2>"$scratch/err" </dev/null
			code=$?
			tame '1| ' "$scratch/out"
			tame '2| ' "$scratch/err"
			printf '= %s\n' "$code"
			;;
		'1| '* | '2| '* | '= '*) ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
	rm -rf "$scratch/work"
}

for case in "$@"; do
	(transcript <"$case") >"$scratch/got"
	if cmp -s "$case" "$scratch/got"; then
		continue
	elif [ -n "$update" ]; then
		cp "$scratch/got" "$case"
		echo "updated $case"
	else
		diff -u --label "$case" --label "now" "$case" "$scratch/got"
		failed=1
	fi
done
exit "$failed"
