/* For tests of clones: see support_clone.h. */
#include "support_clone.h"

#include "clock.h"
#include "folder_copy.h"
#include "mem.h"
#include "support_pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[64], state_dir[80], records[96];

int clone_test_begin(const char *name)
{
	(void)snprintf(base, sizeof(base), "/tmp/rehearse-%s-%d", name, (int)getpid());
	(void)snprintf(state_dir, sizeof(state_dir), "%s-state", base);
	(void)snprintf(records, sizeof(records), "%s/clones", state_dir);
	if (mkdir(base, 0755) != 0 || mkdir(state_dir, 0700) != 0 || mkdir(records, 0700) != 0)
		return -1;
	return chmod(base, 0755) || setenv("REHEARSE_STATE_DIR", state_dir, 1);
}

int clone_test_end(void)
{
	struct error err = ERROR_INIT;
	return folder_remove(base, &err) || folder_remove(state_dir, &err);
}

const char *clone_test_folder(void)
{
	return base;
}

const char *clone_test_records(void)
{
	return records;
}

const char *clone_test_path(const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	(void)snprintf(path, sizeof(paths[0]), "%s/%s", base, name);
	return path;
}

size_t clone_test_count(const char *folder, bool hidden)
{
	size_t count = 0;
	DIR *dir = opendir(folder);
	for (const struct dirent *entry; dir && (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			count += hidden || entry->d_name[0] != '.';
	}
	if (dir)
		(void)closedir(dir);
	return count;
}

size_t clone_test_count_entries(void)
{
	size_t count = clone_test_count(records, true);
	DIR *dir = opendir(base);
	for (const struct dirent *entry; dir && (entry = readdir(dir));)
		count += strncmp(entry->d_name, "rehearse-", 9) == 0;
	if (dir)
		(void)closedir(dir);
	return count;
}

size_t clone_test_count_processes(void)
{
	size_t count = 0;
	char prefix[80];
	(void)snprintf(prefix, sizeof(prefix), "%s/rehearse-", base);
	DIR *dir = opendir("/proc");
	for (const struct dirent *entry; dir && (entry = readdir(dir));) {
		char link[300], cwd[300];
		(void)snprintf(link, sizeof(link), "/proc/%s/cwd", entry->d_name);
		ssize_t len = readlink(link, cwd, sizeof(cwd) - 1);
		if (len <= 0)
			continue;
		cwd[len] = '\0';
		count += strncmp(cwd, prefix, strlen(prefix)) == 0;
	}
	if (dir)
		(void)closedir(dir);
	return count;
}

void clone_test_expect_nothing(void)
{
	for (int i = 0; i < 100 && clone_test_count_processes() > 0; i++)
		clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
	assert_int_equal(clone_test_count_processes(), 0);
	assert_int_equal(clone_test_count_entries(), 0);
}

struct clone_set *clone_test_create(const struct clone_provider *provider, const struct clone_request *request)
{
	struct clone_set *set = NULL;
	struct error err = ERROR_INIT;
	if (clone_set_create(provider, request, &set, &err) != 0)
		fail_msg("%s", err.text);
	return set;
}

void clone_test_destroy(struct clone_set *set)
{
	struct error err = ERROR_INIT;
	if (clone_set_destroy(set, &err) != 0)
		fail_msg("%s", err.text);
}

void clone_test_refused(const struct clone_provider *provider, const struct clone_request *request, int code,
			const char *message)
{
	struct clone_set *set = NULL;
	struct error err = ERROR_INIT;
	int rc = clone_set_create(provider, request, &set, &err);
	if (rc != code || !strstr(err.text, message))
		fail_msg("%d and \"%s\", not %d and \"%s\"", rc, err.text, code, message);
	clone_test_expect_nothing();
}

char *clone_test_ask(const char *url, const char *sql)
{
	PGconn *conn = PQconnectdb(url);
	if (PQstatus(conn) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(conn));
	char *value = pg_server_value(conn, sql);
	PQfinish(conn);
	return value;
}

void clone_test_check(const char *url, const char *sql, const char *expected)
{
	char *value = clone_test_ask(url, sql);
	if (!value || strcmp(value, expected) != 0)
		fail_msg("%s: %s, not %s", sql, value ? value : "NULL", expected);
	free(value);
}
