/* What servers do to those who replay: each of these becomes recorded outcomes, and the lane goes on or ends in good
 * time. */
#include "clock.h"
#include "sqlstate.h"
#include "support_lane.h"
#include "support_pg_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct pg_server server;

/* The postmaster and every process below it. */
static void signal_server(int number)
{
	DIR *proc = opendir("/proc");
	assert_non_null(proc);
	(void)kill(server.pid, number);
	for (const struct dirent *entry; (entry = readdir(proc));) {
		char path[300];
		char line[512] = "";
		int pid;
		int parent;
		(void)snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		FILE *stat = fopen(path, "r");
		if (!stat)
			continue;
		if (fgets(line, sizeof(line), stat) && sscanf(line, "%d (postgres) %*c %d", &pid, &parent) == 2 &&
		    parent == server.pid)
			(void)kill(pid, number);
		(void)fclose(stat);
	}
	(void)closedir(proc);
}

static void freeze(int64_t t0_ns)
{
	clock_sleep_until_ns(t0_ns + 300 * NS_PER_MS);
	signal_server(SIGSTOP);
}

static void test_a_frozen_server(void **state)
{
	(void)state;
	struct replay_builder *b = trial_begin(3); /* 0 … 2 */
	for (int i = 0; i < 200; i++)
		replay_builder_simple(b, (uint32_t)(i % 3), 100 + 50 * i, "SELECT 1"); /* 3 …, to 10 s */
	replay_builder_finish(b);
	int64_t begin_ns = clock_mono_ns();
	trial_replay(&(struct lane_trial){.url = server.url,
					  .drain_timeout_ns = 60 * NS_PER_S,
					  .stall_timeout_ns = 700 * NS_PER_MS,
					  .during = freeze});
	signal_server(SIGCONT);
	assert_true(clock_mono_ns() - begin_ns < 8 * NS_PER_S);
	assert_int_equal(trial_stats.censored, 3);
	assert_true(trial_stats.skipped_by_reason[RUN_SKIP_STALLED] > 150);
	trial_assert(3, RUN_OK, "");
}

static void kill_and_restart(int64_t t0_ns)
{
	clock_sleep_until_ns(t0_ns + 300 * NS_PER_MS);
	signal_server(SIGKILL);
	clock_sleep_until_ns(t0_ns + 500 * NS_PER_MS);
	(void)waitpid(server.pid, NULL, 0);
	server.pid = 0;
	assert_int_equal(pg_server_restart(&server), 0);
}

static void test_a_killed_server_comes_back(void **state)
{
	(void)state;
	struct replay_builder *b = trial_begin(2);		 /* 0, 1 */
	replay_builder_simple(b, 0, 100, "SELECT pg_sleep(30)"); /* 2 */
	replay_builder_simple(b, 1, 110, "SELECT 1");		 /* 3 */
	replay_builder_simple(b, 1, 450, "SELECT 1");		 /* 4 */
	uint32_t later = replay_builder_session(b, "postgres", "postgres");
	replay_builder_connect(b, later, 6000);		   /* 5 */
	replay_builder_simple(b, later, 6001, "SELECT 1"); /* 6 */
	replay_builder_finish(b);
	trial_replay(
		&(struct lane_trial){.url = server.url, .drain_timeout_ns = 5 * NS_PER_S, .during = kill_and_restart});
	trial_assert(2, RUN_ERROR, SQLSTATE_CONNECTION_LOST);
	trial_assert(3, RUN_OK, "");
	assert_int_equal(trial_records[4].reason, RUN_SKIP_SESSION_LOST);
	trial_assert(5, RUN_OK, "");
	trial_assert(6, RUN_OK, "");
}

static void test_too_many_connections(void **state)
{
	(void)state;
	struct replay_builder *b = trial_begin(40); /* the server takes 20 */
	for (uint32_t i = 0; i < 40; i++)
		replay_builder_simple(b, i, 1000, "SELECT 1");
	replay_builder_finish(b);
	trial_replay(&(struct lane_trial){.url = server.url, .drain_timeout_ns = 5 * NS_PER_S});
	uint64_t refused = 0;
	for (uint32_t i = 0; i < 40; i++) {
		char code[SQLSTATE_TEXT_MAX];
		sqlstate_unpack(trial_records[i].sqlstate, code);
		if (trial_records[i].outcome == RUN_ERROR)
			assert_string_equal(code, "53300");
		refused += trial_records[i].outcome == RUN_ERROR;
	}
	assert_true(refused >= 20);
	assert_int_equal(trial_stats.skipped_by_reason[RUN_SKIP_SESSION_LOST], refused);
	assert_int_equal(trial_stats.statements, 40 - refused);
	assert_non_null(strstr(trial_stats.lost_reason, "too many clients"));
}

static long max_rss_kb(void)
{
	struct rusage usage;
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

static void test_a_huge_result_costs_no_memory(void **state)
{
	(void)state;
	long before_kb = max_rss_kb();
	struct replay_builder *b = trial_begin(1);
	replay_builder_simple(b, 0, 50, "SELECT generate_series(1, 10000000)"); /* 1: about 250 MB on the wire */
	replay_builder_simple(b, 0, 60, "SELECT 1 UNION SELECT 2 UNION SELECT 3 ORDER BY 1");	   /* 2 */
	replay_builder_simple(b, 0, 70, "SELECT 1 UNION SELECT 2 UNION SELECT 3 ORDER BY 1 DESC"); /* 3 */
	replay_builder_simple(b, 0, 80, "SELECT 1 UNION SELECT 2 UNION SELECT 4");		   /* 4 */
	replay_builder_finish(b);
	trial_replay(&(struct lane_trial){.url = server.url, .drain_timeout_ns = 60 * NS_PER_S, .check_results = true});
	trial_assert(1, RUN_OK, "");
	assert_int_equal(trial_records[1].rows, 10000000);
	assert_int_not_equal(trial_records[1].digest, 0);
	assert_true(trial_records[2].digest == trial_records[3].digest);
	assert_true(trial_records[2].digest != trial_records[4].digest);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(max_rss_kb() - before_kb < 20 * 1024);
#else
	(void)before_kb;
#endif
}

/* A server of our own that logs anyone in, and hangs up in the middle of its first answer. */
struct rude_server {
	int listener;
	int port;
	pthread_t thread;
};

static void *be_rude(void *context)
{
	const struct rude_server *rude = context;
	static const unsigned char welcome[] = {'R', 0, 0, 0, 8,  0,  0, 0, 0,		   /* AuthenticationOk */
						'K', 0, 0, 0, 12, 0,  0, 0, 1, 0, 0, 0, 2, /* BackendKeyData */
						'Z', 0, 0, 0, 5,  'I'};			   /* ReadyForQuery */
	static const unsigned char half[] = {'T', 0, 0, 0, 200, 0, 1, 'c', 'o'};	   /* RowDescription, cut */
	char buffer[4096];
	int fd = accept(rude->listener, NULL, NULL);
	if (fd < 0)
		return NULL;
	if (read(fd, buffer, sizeof(buffer)) > 0 && write(fd, welcome, sizeof(welcome)) > 0 &&
	    read(fd, buffer, sizeof(buffer)) > 0)
		(void)!write(fd, half, sizeof(half));
	(void)close(fd);
	return NULL;
}

static void rude_start(struct rude_server *rude)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	rude->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(rude->listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(rude->listener, 5), 0);
	assert_int_equal(getsockname(rude->listener, (struct sockaddr *)&address, &len), 0);
	rude->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&rude->thread, NULL, be_rude, rude), 0);
}

static void test_a_server_that_hangs_up_in_mid_message(void **state)
{
	(void)state;
	struct rude_server rude;
	char url[200];
	rude_start(&rude);
	(void)snprintf(url, sizeof(url), "postgresql://127.0.0.1:%d/x?sslmode=disable&gssencmode=disable", rude.port);
	struct replay_builder *b = trial_begin(1);
	replay_builder_simple(b, 0, 50, "SELECT 1"); /* 1 */
	replay_builder_simple(b, 0, 60, "SELECT 2"); /* 2 */
	replay_builder_finish(b);
	trial_replay(&(struct lane_trial){.url = url, .drain_timeout_ns = 3 * NS_PER_S});
	(void)pthread_join(rude.thread, NULL);
	(void)close(rude.listener);
	trial_assert(0, RUN_OK, "");
	trial_assert(1, RUN_ERROR, SQLSTATE_CONNECTION_LOST);
	assert_int_equal(trial_records[2].reason, RUN_SKIP_SESSION_LOST);
}

/* More than select() could ever carry: 1,100 connections at once. */
static void test_many_connections(void **state)
{
	(void)state;
	struct pg_server wide = {0};
	enum {
		SESSIONS = 1100
	};
	struct rlimit files;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	assert_int_equal(pg_server_start(&wide, "max_connections = 1150\nshared_buffers = 16MB\n"), 0);
	struct replay_builder *b = trial_begin_empty();
	for (uint32_t i = 0; i < SESSIONS; i++)
		assert_int_equal(replay_builder_session(b, "postgres", "postgres"), i);
	for (uint32_t i = 0; i < SESSIONS; i++)
		replay_builder_connect(b, i, (int)i);
	for (uint32_t i = 0; i < SESSIONS; i++)
		replay_builder_simple(b, i, SESSIONS, "SELECT 1");
	replay_builder_finish(b);
	trial_replay(&(struct lane_trial){.url = wide.url, .drain_timeout_ns = 30 * NS_PER_S});
	pg_server_stop(&wide);
	assert_int_equal(trial_stats.sessions, SESSIONS);
	assert_int_equal(trial_stats.items_ok, 2 * SESSIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_server_that_hangs_up_in_mid_message),
		cmocka_unit_test(test_too_many_connections),
		cmocka_unit_test(test_a_huge_result_costs_no_memory),
		cmocka_unit_test(test_many_connections),
		cmocka_unit_test(test_a_frozen_server),
		cmocka_unit_test(test_a_killed_server_comes_back),
	};
	if (pg_server_start(&server, "max_connections = 20\nsuperuser_reserved_connections = 0\n") < 0)
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	pg_server_stop(&server);
	trial_clean_up();
	return failed;
}
