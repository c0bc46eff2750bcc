/*
 * What stays when nobody is left to take clones down: kill -9 for the owner and its guardian (and for the servers) at
 * moments of every kind, and then cleanup. And what cleanup must never do: act on a record that is forged, on a folder
 * that is not the record's, or on what somebody still uses.
 *
 * Here a few moments; tests/soak/kill_anywhere.sh takes as many as it is told to.
 */
#include "clock.h"
#include "clone_list.h"
#include "clone_remove.h"
#include "json_file.h"
#include "mem.h"
#include "scratch_folder.h"
#include "support_clone.h"
#include "support_pg_server.h"
#include "support_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pg_server server;
static const char *const lanes[] = {"baseline", "migrating"};

static struct clone_request make_request(const char *name)
{
	return (struct clone_request){.name = name,
				      .source = server.url,
				      .lanes = lanes,
				      .lane_count = 2,
				      .folder = clone_test_folder(),
				      .pg_bindir = pg_server_bindir()};
}

static void clean_up(const char *option, int code, const char *said)
{
	int got = PROGRAM_RUN(REHEARSE_PROGRAM, "cleanup", option ? option : "--quiet");
	if (got != code || !strstr(program_said.data, said))
		fail_msg("%d: %s", got, program_said.data);
}

/* Everything but the servers at once, or the servers too: as a power loss does, but for the reboot. */
static void kill_all(pid_t pid, bool servers)
{
	char command[300];
	(void)snprintf(command, sizeof(command), "kill -9 $(pgrep -P %ld -x rehearse-guard) %ld 2>/dev/null", (long)pid,
		       (long)pid);
	(void)PROGRAM_RUN("sh", "-c", command);
	if (servers) {
		(void)snprintf(command, sizeof(command), "pkill -9 -f '^[^ ]*postgres .*%s/rehearse-'",
			       clone_test_folder());
		(void)PROGRAM_RUN("sh", "-c", command);
	}
}

static void test_killed(void **state)
{
	(void)state;
	const int64_t moments_ms[] = {20, 120, 500, 1100, 2000, 3500};
	for (size_t i = 0; i < sizeof(moments_ms) / sizeof(*moments_ms); i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct clone_request request = make_request("doomed");
			struct clone_set *set = NULL;
			struct error err = ERROR_INIT;
			(void)clone_set_create(&clone_local, &request, &set, &err);
			for (;;)
				(void)pause();
		}
		clock_sleep_until_ns(clock_mono_ns() + moments_ms[i] * NS_PER_MS);
		kill_all(pid, i % 2 == 1);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		print_message("after %lld ms: %zu folders and records, %zu processes\n", (long long)moments_ms[i],
			      clone_test_count_entries(), clone_test_count_processes());
		clean_up(NULL, 0, "");
		clone_test_expect_nothing();
	}
}

/* A process that goes away in the middle of cleanup: the next one ends it. */
static void test_cleanup_killed(void **state)
{
	(void)state;
	const int64_t moments_ms[] = {5, 30, 100, 300};
	for (size_t i = 0; i < sizeof(moments_ms) / sizeof(*moments_ms); i++) {
		struct clone_request request = make_request("half");
		struct clone_set *set = clone_test_create(&clone_local, &request);
		struct error err = ERROR_INIT;
		assert_int_equal(clone_set_keep(set, &err), 0);
		clone_set_free(set);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)execl(REHEARSE_PROGRAM, REHEARSE_PROGRAM, "cleanup", "--all", "--quiet", (char *)NULL);
			_exit(127);
		}
		clock_sleep_until_ns(clock_mono_ns() + moments_ms[i] * NS_PER_MS);
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		clean_up("--all", 0, "");
		clone_test_expect_nothing();
	}
}

/* In use: never without being told. Expired: whoever has it. */
static void test_who_may_be_removed(void **state)
{
	(void)state;
	struct clone_request request = make_request("mine");
	struct clone_set *set = clone_test_create(&clone_local, &request);
	clean_up(NULL, 0, "kept mine-baseline: in use by a process that lives");
	clone_test_check(set->clones[0].url, "SELECT count(*) FROM shop", "100");
	struct clone_list list;
	struct error err = ERROR_INIT;
	assert_int_equal(clone_list_load(&list, NULL, clock_wall_ns(), &err), 0);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.entries[0].life, CLONE_IN_USE);
	assert_true(list.entries[0].running);
	clone_list_release(&list);
	/* a day later */
	assert_int_equal(clone_list_load(&list, NULL, clock_wall_ns() + 25 * 3600 * NS_PER_S, &err), 0);
	assert_int_equal(list.entries[1].life, CLONE_EXPIRED);
	clone_list_release(&list);
	clean_up("--all", 0, "2 removed, 0 kept, 0 failed");
	clone_test_destroy(set); /* nothing of it is there any more, and that is fine */
	clone_test_expect_nothing();
	/* another boot: whatever its pid is now, it is not the owner */
	set = clone_test_create(&clone_local, &request);
	set->records[0].owner.boot_id[0] ^= 1;
	assert_int_equal(clone_record_update(set->state_folder, &set->records[0], &err), 0);
	assert_int_equal(clone_list_load(&list, NULL, clock_wall_ns(), &err), 0);
	assert_int_equal(list.entries[0].life, CLONE_ORPHAN);
	clone_list_release(&list);
	clone_test_destroy(set);
	clone_test_expect_nothing();
}

static const char *victim(void)
{
	return clone_test_path("rehearse-evil-x");
}

/* A record of ours in all but one thing. */
static void forge(const char *name, const char *field, json_t *value)
{
	struct clone_record record = {.time_to_live_ns = NS_PER_S, .created_wall_ns = NS_PER_S, .size_bytes = -1};
	struct error err = ERROR_INIT;
	char path[300];
	json_t *object = NULL;
	record.set = mem_strdup("evil");
	record.lane = mem_strdup("x");
	record.name = mem_strdup("evil-x");
	record.id = mem_strdup("00112233445566778899aabbccddeeff");
	record.provider = mem_strdup("local");
	record.folder = mem_strdup(victim());
	record.uid = record.run_uid = geteuid();
	clone_owner_init_self(&record.owner);
	assert_int_equal(clone_record_create(clone_test_records(), &record, &err), 0);
	clone_record_release(&record);
	(void)snprintf(path, sizeof(path), "%s/evil-x.json", clone_test_records());
	assert_int_equal(json_file_load(path, &object, &err), 0);
	if (field)
		(void)json_object_set_new(object, field, value);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/%s.json", clone_test_records(), name);
	assert_int_equal(json_file_save(path, object, &err), 0);
	json_decref(object);
}

static void expect_left_alone(const char *why)
{
	char path[300];
	(void)snprintf(path, sizeof(path), "%s/precious", victim());
	clean_up("--all", ERR_DATA, why);
	assert_int_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof(path), "rm -f '%s'/*.json", clone_test_records());
	assert_int_equal(PROGRAM_RUN("sh", "-c", path), 0);
}

static void test_hostile_records(void **state)
{
	(void)state;
	char path[600], target[300];
	assert_int_equal(mkdir(victim(), 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/precious", victim());
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fclose(file);
	forge("evil-x", NULL, NULL); /* the folder has no mark */
	expect_left_alone("does not have the mark of clone evil-x");
	static const char *const folders[] = {
		"/", "/etc", "relative/rehearse-evil-x", "/tmp/../rehearse-evil-x", "/rehearse-evil-x", ""};
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		forge("evil-x", "folder", json_string(folders[i]));
		expect_left_alone("names nothing that a clone can be in");
	}
	forge("evil-x", "folder", json_null());
	expect_left_alone("names nothing");
	forge("evil-x", "name", json_string("../../x"));
	expect_left_alone("another clone's name");
	forge("other-x", NULL, NULL);
	expect_left_alone("another clone's name");
	forge("evil-x", "set", json_string("../evil"));
	expect_left_alone("no good name");
	forge("evil-x", "id", json_string("*"));
	expect_left_alone("whose it is");
	forge("evil-x", "uid", json_integer(-5));
	expect_left_alone("a number that cannot be");
	forge("evil-x", "time_to_live_s", json_real(1e300));
	expect_left_alone("a number that cannot be");
	forge("evil-x", "provider", json_string("command")); /* without a command */
	expect_left_alone("names nothing");
	forge("evil-x", "provider", json_string("aws"));
	expect_left_alone("not known");
	/* a mark that is a link, or another record's */
	(void)snprintf(path, sizeof(path), "%s/.rehearse-evil-x-00112233445566778899aabbccddeeff", victim());
	assert_int_equal(symlink("precious", path), 0);
	forge("evil-x", NULL, NULL);
	expect_left_alone("does not have the mark");
	assert_int_equal(unlink(path), 0);
	/* a link in the place of the folder, or above it */
	(void)snprintf(target, sizeof(target), "%s", clone_test_path("real"));
	assert_int_equal(rename(victim(), target), 0);
	assert_int_equal(symlink(target, victim()), 0);
	forge("evil-x", NULL, NULL);
	expect_left_alone("not a folder that a clone was put into");
	(void)snprintf(path, sizeof(path), "rm '%s' && mv '%s' '%s' && rm -r '%s'", victim(), target, victim(),
		       victim());
	assert_int_equal(PROGRAM_RUN("sh", "-c", path), 0);
	/* no JSON, a pipe, a link in the place of the record, another user's */
	(void)snprintf(path, sizeof(path),
		       "cd '%s' && echo '{' >a-b.json && mkfifo c-d.json && ln -s /etc/passwd e-f.json",
		       clone_test_records());
	assert_int_equal(PROGRAM_RUN("sh", "-c", path), 0);
	clean_up(NULL, ERR_DATA, "0 removed, 0 kept, 3 failed");
	(void)snprintf(path, sizeof(path), "rm '%s'/*", clone_test_records());
	assert_int_equal(PROGRAM_RUN("sh", "-c", path), 0);
	clone_test_expect_nothing();
}

/* Drafts of records and folders with literals go the same way. */
static void test_scratch_and_drafts(void **state)
{
	(void)state;
	struct scratch_folder folder;
	struct error err = ERROR_INIT;
	char path[400];
	assert_int_equal(setenv("TMPDIR", clone_test_folder(), 1), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (scratch_folder_init(&folder, "replay", &err) < 0)
			_exit(1);
		(void)snprintf(path, sizeof(path), "%s/literals", folder.path);
		FILE *file = fopen(path, "w");
		(void)fclose(file);
		(void)kill(folder.guardian.pid, SIGKILL);
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(clone_test_count_entries(), 2);
	(void)snprintf(path, sizeof(path), "touch '%s/.x-y.%ld.draft' '%s/.x-y.%ld.draft'", clone_test_records(),
		       (long)pid, clone_test_records(), (long)getpid());
	assert_int_equal(PROGRAM_RUN("sh", "-c", path), 0);
	clean_up(NULL, 0, "1 removed, 0 kept, 0 failed");
	assert_int_equal(clone_test_count(clone_test_records(), true), 1); /* the draft of one who lives */
	(void)snprintf(path, sizeof(path), "%s/.x-y.%ld.draft", clone_test_records(), (long)getpid());
	assert_int_equal(unlink(path), 0);
	/* released by its owner */
	assert_int_equal(scratch_folder_init(&folder, "replay", &err), 0);
	struct stat info;
	assert_int_equal(stat(folder.path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0700);
	scratch_folder_release(&folder);
	assert_int_equal(unsetenv("TMPDIR"), 0);
	clone_test_expect_nothing();
}

static bool segment_is_there(const char *id)
{
	char command[100];
	(void)snprintf(command, sizeof(command), "ipcs -m -i %s 2>/dev/null | grep -q shmid=%s", id, id);
	return PROGRAM_RUN("sh", "-c", command) == 0;
}

static size_t count_words(const char *text)
{
	size_t count = 0;
	for (const char *p = text + strspn(text, " "); *p; p += strspn(p, " ")) {
		count++;
		p += strcspn(p, " ");
	}
	return count;
}

/* A server that was killed leaves a System V segment and POSIX ones; they go with the clone. */
static void test_shared_memory(void **state)
{
	(void)state;
	char command[400], id[64], paths[2000];
	if (PROGRAM_RUN("sh", "-c", "command -v ipcs >/dev/null") != 0)
		skip();
	struct clone_request request = make_request("shm");
	struct clone_set *set = clone_test_create(&clone_local, &request);
	(void)snprintf(command, sizeof(command), "sed -n 7p '%s/data/postmaster.pid' | awk '{print $2}' | tr -d '\\n'",
		       set->clones[0].folder);
	assert_int_equal(PROGRAM_RUN("sh", "-c", command), 0);
	(void)snprintf(id, sizeof(id), "%.60s", program_said.data);
	assert_true(segment_is_there(id));
	/* and the POSIX segments that a backend in a parallel query has mapped */
	PGconn *conn = PQconnectdb(set->clones[0].url);
	PQclear(PQexec(conn, PQserverVersion(conn) < 160000 ? "SET force_parallel_mode = on"
							    : "SET debug_parallel_query = on"));
	assert_int_equal(PQsendQuery(conn, "SELECT count(x + pg_sleep(60)::text::int) FROM generate_series(1, 9) x"),
			 1);
	(void)snprintf(command, sizeof(command),
		       "sed -n 's|.*\\(/dev/shm/PostgreSQL.[0-9]*\\).*|\\1|p' /proc/%d/maps | sort -u | tr '\\n' ' '",
		       PQbackendPID(conn));
	for (int i = 0; i < 200 && count_words(program_said.data) < 3; i++) {
		clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
		assert_int_equal(PROGRAM_RUN("sh", "-c", command), 0);
	}
	assert_true(count_words(program_said.data) >= 3);
	(void)snprintf(paths, sizeof(paths), "ls -d %s", program_said.data);
	assert_int_equal(PROGRAM_RUN("sh", "-c", paths), 0);
	/* The server and all of its processes: nobody is left who could tidy up. */
	(void)snprintf(command, sizeof(command), "kill -9 %ld $(pgrep -P %ld)", (long)set->clones[0].pid,
		       (long)set->clones[0].pid);
	assert_int_equal(PROGRAM_RUN("sh", "-c", command), 0);
	PQfinish(conn);
	clone_test_destroy(set);
	assert_false(segment_is_there(id));
	(void)PROGRAM_RUN("sh", "-c", paths);
	assert_null(strstr(program_said.data, "\n/dev/shm/"));
	assert_true(strncmp(program_said.data, "/dev/shm/", 9) != 0);
	clone_test_expect_nothing();
}

/* What records, messages and create-snapshot show of a URL. */
static void test_passwords(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"postgresql://me:s3cret@host:5432/db", "postgresql://me@host:5432/db"},
		{"postgresql://me@host:5432/db", "postgresql://me@host:5432/db"},
		{"postgresql://host:5432/db?user=me&password=s3cret&sslmode=require",
		 "postgresql://host:5432/db?user=me&&sslmode=require"},
		{"postgresql://me:s@3/cr:et@host/db?sslpassword=s3cret", "postgresql://me@host/db?"},
		{"mysql://me:@host/db", "mysql://me@host/db"},
		{"cannot reach mysql://me:s3cret@host/db", "cannot reach mysql://me@host/db"},
		{"no url: at all", "no url: at all"},
		{"", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *clean = clone_url_without_password(cases[i][0]);
		assert_string_equal(clean, cases[i][1]);
		free(clean);
	}
	assert_null(clone_url_without_password(NULL));
}

static int set_up(void **state)
{
	(void)state;
	if (clone_test_begin("cleanup") != 0)
		return -1;
	return pg_server_start(&server, "wal_level = replica\nmax_wal_senders = 4\n") ||
	       pg_server_run(&server, "CREATE TABLE shop AS SELECT x FROM generate_series(1, 100) x");
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
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_cleanup_killed),
		cmocka_unit_test(test_who_may_be_removed),
		cmocka_unit_test(test_hostile_records),
		cmocka_unit_test(test_scratch_and_drafts),
		cmocka_unit_test(test_shared_memory),
		cmocka_unit_test(test_passwords),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
