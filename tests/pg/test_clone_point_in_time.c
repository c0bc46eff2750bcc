/*
 * Clones as of a point in time: a base backup, archived WAL, and rows written before and after the moments that are
 * asked for. Both lanes hold exactly what was committed by then, and are the same.
 */
#include "clock.h"
#include "folder_copy.h"
#include "mem.h"
#include "pg_target.h"
#include "support_clone.h"
#include "support_pg_server.h"
#include "support_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct pg_server server;
static char backup[256], archive[256];
static int64_t before_backup_ns, moments_ns[3];
static const char *const lanes[] = {"baseline", "migrating", "scratch"};

static struct clone_request make_request(const char *name, int64_t point_ns)
{
	return (struct clone_request){.name = name,
				      .source = backup,
				      .lanes = lanes,
				      .lane_count = 2,
				      .folder = clone_test_folder(),
				      .pg_bindir = pg_server_bindir(),
				      .wal_archive = archive,
				      .point_in_time_wall_ns = point_ns};
}

/* A row, and time around it: the row's commit lies between two moments at least 50 ms apart from it. */
static int64_t add_row(int x)
{
	char sql[100];
	(void)snprintf(sql, sizeof(sql), "INSERT INTO shop VALUES (%d)", x);
	assert_int_equal(pg_server_run(&server, sql), 0);
	clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
	int64_t now_ns = clock_wall_ns();
	clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
	return now_ns;
}

static void expect_rows(const struct clone_set *set, const char *rows)
{
	for (size_t i = 0; i < set->count; i++) {
		const char *url = set->clones[i].url;
		clone_test_check(url, "SELECT string_agg(x::text, ',' ORDER BY x) FROM shop", rows);
		clone_test_check(url, "SELECT pg_is_in_recovery()", "f");
		clone_test_check(url, "SHOW restore_command", "");
		clone_test_check(url, "SHOW archive_mode", "off");
		clone_test_check(url, "SHOW work_mem", "7MB");
		clone_test_check(url, "SHOW temp_buffers", "9MB"); /* ALTER SYSTEM's, before the backup */
		clone_test_check(url, "SHOW rehearse.clone", set->clones[i].name);
	}
}

/* One system identifier, one timeline, one next transaction, one set of settings. */
static void expect_the_same(const struct clone_set *set)
{
	static const char sql[] = "SELECT system_identifier || ' ' || (SELECT timeline_id || ' ' || next_xid FROM"
				  " pg_control_checkpoint()) FROM pg_control_system()";
	char *first = clone_test_ask(set->clones[0].url, sql);
	json_t *settings = NULL;
	struct error err = ERROR_INIT;
	for (size_t i = 1; i < set->count; i++) {
		clone_test_check(set->clones[i].url, sql, first);
		assert_int_equal(pg_target_settings(set->clones[0].url, set->clones[i].url, &settings, &err), 0);
		assert_int_equal(json_array_size(json_object_get(settings, "differences")), 0);
		json_decref(settings);
	}
	free(first);
}

static void test_moments(void **state)
{
	(void)state;
	static const char *const rows[] = {"1,2", "1,2,3", "1,2,3,4"};
	for (size_t i = 0; i < 3; i++) {
		struct clone_request request = make_request("moment", moments_ns[i]);
		struct clone_set *set = clone_test_create(&clone_local, &request);
		expect_rows(set, rows[i]);
		expect_the_same(set);
		assert_int_equal(set->point_in_time_wall_ns, moments_ns[i]);
		assert_non_null(set->last_transaction);
		json_t *description = clone_set_describe(set);
		assert_true(json_is_string(json_object_get(description, "point_in_time")));
		json_decref(description);
		clone_test_destroy(set);
		clone_test_expect_nothing();
	}
}

/* All there is, by a command of the user's, in three lanes with empty caches. */
static void test_latest_by_command(void **state)
{
	(void)state;
	char command[400], path[400];
	(void)snprintf(command, sizeof(command), "cp '%s/%%f' \"%%p\"", archive);
	struct clone_request request = make_request("latest", 0);
	request.wal_archive = NULL;
	request.restore_command = command;
	request.lane_count = 3;
	request.cold_cache = true;
	struct clone_set *set = clone_test_create(&clone_local, &request);
	assert_true(set->cold);
	/* The biggest file of the data, by mincore(2): next to nothing of it is in the kernel's cache. */
	char *file_name = clone_test_ask(set->clones[1].url, "SELECT pg_relation_filepath('ballast')");
	(void)snprintf(path, sizeof(path), "%s/data/%s", set->clones[1].folder, file_name);
	free(file_name);
	struct stat info;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 4 * 1024 * 1024);
	size_t pages = (size_t)info.st_size / 4096, resident = 0;
	unsigned char *present = mem_alloc(pages + 1);
	void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mincore(map, (size_t)info.st_size, present), 0);
	for (size_t i = 0; i < pages; i++)
		resident += present[i] & 1;
	(void)munmap(map, (size_t)info.st_size);
	(void)close(fd);
	free(present);
	print_message("%zu of %zu pages in the cache\n", resident, pages);
	assert_true(resident * 20 < pages);
	expect_rows(set, "1,2,3,4,5");
	expect_the_same(set);
	clone_test_destroy(set);
	clone_test_expect_nothing();
}

static void test_packed_archive(void **state)
{
	(void)state;
	char packed[256], command[1200];
	(void)snprintf(packed, sizeof(packed), "%s", clone_test_path("it's 100% packed"));
	(void)snprintf(command, sizeof(command), "cp -r '%s' \"%s\" && gzip \"%s\"/*", archive, packed, packed);
	assert_int_equal(PROGRAM_RUN("sh", "-c", command), 0);
	assert_int_equal(chmod(packed, 0755), 0);
	struct clone_request request = make_request("packed", moments_ns[1]);
	request.wal_archive = packed;
	request.lane_count = 1;
	struct clone_set *set = clone_test_create(&clone_local, &request);
	expect_rows(set, "1,2,3");
	clone_test_destroy(set);
	clone_test_expect_nothing();
}

/* A base backup as tar files: unpacked into the first clone. */
static void test_tar_backup(void **state)
{
	(void)state;
	char tars[256], command[1200];
	(void)snprintf(tars, sizeof(tars), "%s", clone_test_path("tars"));
	struct clone_request request = make_request("tar", moments_ns[1]);
	request.source = tars;
	struct clone_set *set = clone_test_create(&clone_local, &request);
	expect_rows(set, "1,2,3");
	expect_the_same(set);
	clone_test_destroy(set);
	clone_test_expect_nothing();
	request.point_in_time_wall_ns = before_backup_ns;
	clone_test_refused(&clone_local, &request, -ERR_DATA, "need an older one");
	(void)snprintf(command, sizeof(command),
		       "head -c 100000 '%s/base.tar.gz' >'%s/x' && mv '%s/x' '%s/base.tar.gz'", tars, tars, tars, tars);
	assert_int_equal(PROGRAM_RUN("sh", "-c", command), 0);
	clone_test_refused(&clone_local, &request, -ERR_DATA, "unpacking the base backup");
}

static void test_refused(void **state)
{
	(void)state;
	struct clone_request request = make_request("bad", clock_wall_ns() + 3600 * NS_PER_S);
	clone_test_refused(&clone_local, &request, -ERR_DATA, "the WAL archive ends before");
	request = make_request("bad", before_backup_ns);
	clone_test_refused(&clone_local, &request, -ERR_DATA, "need an older one");
	request = make_request("bad", moments_ns[0]);
	request.wal_archive = "/no/such/archive";
	clone_test_refused(&clone_local, &request, -ERR_DATA, "no such WAL archive");
	request.wal_archive = clone_test_folder(); /* nothing in it */
	clone_test_refused(&clone_local, &request, -ERR_DATA, "WAL");
	request.wal_archive = NULL;
	clone_test_refused(&clone_local, &request, -ERR_USAGE, "needs the WAL since the base backup");
	request.wal_archive = archive;
	request.restore_command = "false";
	clone_test_refused(&clone_local, &request, -ERR_USAGE, "not both");
	request = make_request("bad", moments_ns[0]);
	request.source = server.url;
	clone_test_refused(&clone_local, &request, -ERR_USAGE, "running server is cloned as it is now");
}

/* The archive is another user's: said as that, and not as an archive that is too short. */
static void test_unreadable_archive(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	char private[256];
	(void)snprintf(private, sizeof(private), "%s", clone_test_path("private"));
	assert_int_equal(mkdir(private, 0700), 0);
	struct clone_request request = make_request("bad", moments_ns[0]);
	request.wal_archive = private;
	clone_test_refused(&clone_local, &request, -ERR_DATA, "cannot read the WAL archive");
}

/* A stopped data directory has no label: its age is its last checkpoint's. */
static void test_data_directory(void **state)
{
	(void)state;
	char copy[256];
	struct folder_copy_options options = {.uid = pg_server_uid(), .gid = pg_server_gid()};
	struct folder_copy_stats stats;
	struct error err = ERROR_INIT;
	(void)snprintf(copy, sizeof(copy), "%s", clone_test_path("stopped"));
	pg_server_halt(&server);
	assert_int_equal(folder_copy(server.data, copy, &options, &stats, &err), 0);
	assert_int_equal(pg_server_restart(&server), 0);
	struct clone_request request = make_request("bad", moments_ns[0]);
	request.source = copy;
	clone_test_refused(&clone_local, &request, -ERR_DATA, "need an older one");
	request.point_in_time_wall_ns = 0;
	struct clone_set *set = clone_test_create(&clone_local, &request);
	expect_rows(set, "1,2,3,4,5");
	clone_test_destroy(set);
	clone_test_expect_nothing();
}

static int make_history(void)
{
	char program[300];
	(void)snprintf(program, sizeof(program), "%s/pg_basebackup", pg_server_bindir());
	before_backup_ns = add_row(1);
	clock_sleep_until_ns(clock_mono_ns() + 1100 * NS_PER_MS);
	if (PROGRAM_RUN(program, "-d", server.url, "-D", backup, "-c", "fast", "-X", "none") != 0)
		fail_msg("%s", program_said.data);
	if (PROGRAM_RUN(program, "-d", server.url, "-D", clone_test_path("tars"), "-c", "fast", "-Ft", "-z") != 0)
		fail_msg("%s", program_said.data);
	clock_sleep_until_ns(clock_mono_ns() + 1100 * NS_PER_MS); /* a label's time has whole seconds */
	moments_ns[0] = add_row(2);
	moments_ns[1] = add_row(3);
	moments_ns[2] = add_row(4);
	(void)add_row(5);
	return pg_server_run(&server, "SELECT pg_switch_wal()") || pg_server_run(&server, "CHECKPOINT");
}

static int set_up(void **state)
{
	(void)state;
	char settings[1024];
	if (clone_test_begin("point") != 0)
		return -1;
	(void)snprintf(backup, sizeof(backup), "%s", clone_test_path("backup"));
	(void)snprintf(archive, sizeof(archive), "%s", clone_test_path("wal"));
	if (mkdir(archive, 0755) != 0 || chmod(archive, 0777) != 0)
		return -1;
	/* Another zone than UTC: the backup's label is written in it. */
	(void)snprintf(settings, sizeof(settings),
		       "work_mem = '7MB'\nwal_level = replica\nmax_wal_senders = 4\narchive_mode = on\n"
		       "log_timezone = 'Asia/Kolkata'\ntimezone = 'America/New_York'\n"
		       "archive_command = 'cp \"%%p\" \"%s/%%f\" && chmod 644 \"%s/%%f\"'\n",
		       archive, archive);
	if (pg_server_start(&server, settings))
		return -1;
	return pg_server_run(&server, "CREATE TABLE shop (x int)") ||
	       pg_server_run(&server, "CREATE TABLE ballast AS SELECT i, repeat('x', 500) FROM"
				      " generate_series(1, 10000) i") ||
	       pg_server_run(&server, "ALTER SYSTEM SET temp_buffers = '9MB'") || make_history() ||
	       /* the archiver has done what there is to do */
	       pg_server_run(&server, "DO $$ BEGIN FOR i IN 1..100 LOOP EXIT WHEN (SELECT last_archived_wal IS NOT NULL"
				      " AND last_archived_wal >= (SELECT pg_walfile_name(pg_current_wal_lsn() -"
				      " 16777216)) FROM pg_stat_archiver); PERFORM pg_sleep(0.1); PERFORM"
				      " pg_stat_clear_snapshot(); END LOOP; END $$");
}

static int tear_down(void **state)
{
	(void)state;
	pg_server_stop(&server);
	return clone_test_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moments),	       cmocka_unit_test(test_latest_by_command),
		cmocka_unit_test(test_packed_archive), cmocka_unit_test(test_tar_backup),
		cmocka_unit_test(test_refused),	       cmocka_unit_test(test_unreadable_archive),
		cmocka_unit_test(test_data_directory),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
