# shellcheck shell=sh disable=SC2034
# The Debian packages that building and running Rehearse needs, and how the scripts beside this file install them.
# Sourced by demo.sh and test.sh.

packages_build="build-essential cmake ninja-build pkg-config libpq-dev libevent-dev libjansson-dev libinih-dev
	uthash-dev libxxhash-dev zlib1g-dev libdeflate-dev libpg-query-dev libsqlite3-dev libcurl4-openssl-dev libssl-dev
	libcmocka-dev"
# Server, client programs and pgbench, unless some version of them is there.
packages_run=postgresql
for program in /usr/lib/postgresql/*/bin/pgbench; do
	[ -x "$program" ] && [ -x "${program%pgbench}initdb" ] && packages_run=
done
packages_test="valgrind clang libclang-rt-dev clang-format python3 python3-jsonschema libxml2-utils chromium openssl
	procps alembic python3-psycopg2"

# Those of the names given that dpkg does not know as installed.
packages_missing()
{
	for package in "$@"; do
		state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=none
		[ "$state" = installed ] || printf '%s ' "$package"
	done
}

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		echo "installing packages needs root or sudo; run: apt-get install $missing" >&2
		return 69
	fi
}

# A fresh PostgreSQL package makes a cluster and starts it, which nobody asked for here: a file in the folder that
# createcluster.conf includes says no, and is taken away again. A machine that has PostgreSQL already is left as it is.
packages_apt_install()
{
	folder=/etc/postgresql-common/createcluster.d
	as_root mkdir -p "$folder" || return 69
	echo 'create_main_cluster = false' | as_root tee "$folder/rehearse.conf" >/dev/null
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" </dev/null
	code=$?
	as_root rm -f "$folder/rehearse.conf"
	as_root rmdir --ignore-fail-on-non-empty "$folder"
	return $code
}

# Installs what is missing of the names given.
packages_install()
{
	missing=$(packages_missing "$@")
	[ -n "$missing" ] || return 0
	echo "installing: $missing" >&2
	as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null >&2 || return 69
	# shellcheck disable=SC2086 # a list of words
	packages_apt_install $missing >&2 || return 69
}
