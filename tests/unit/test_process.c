/* Running programs: output, exit codes, users, cancelling, and nothing left behind. */
#include "clock.h"
#include "mem.h"
#include "process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int run_shell(const char *script, struct strbuf *output, struct error *err)
{
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){"sh", "-c", script, NULL};
	int code = -1;
	int rc = process_run(&options, NULL, output, &code, err);
	return rc ? rc : code;
}

static void test_output_and_code(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct strbuf out;
	strbuf_init(&out, 1000);
	assert_int_equal(run_shell("echo one; echo two >&2; exit 7", &out, &err), 7);
	assert_string_equal(out.data, "one\ntwo\n");
	assert_int_equal(run_shell("kill -TERM $$", NULL, &err), 128 + SIGTERM);
	strbuf_release(&out);
}

/* Standard output apart, the end of a long one; and a time limit that holds for the whole group. */
static void test_results_and_time_limit(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct strbuf said, results;
	strbuf_init(&said, 1000);
	strbuf_init(&results, 32 * 1024);
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){"sh", "-c", "seq 20000; echo quietly >&2; echo the end", NULL};
	options.results = &results;
	int code = -1;
	assert_int_equal(process_run(&options, NULL, &said, &code, &err), 0);
	assert_int_equal(code, 0);
	assert_string_equal(said.data, "quietly\n");
	assert_true(results.len > 16 * 1024 && results.len <= 32 * 1024);
	assert_string_equal(results.data + results.len - 14, "20000\nthe end\n");
	options.argv = (const char *const[]){"sh", "-c",
					     "trap '' TERM; sh -c 'trap \"\" TERM; sleep 60' & echo $!; wait", NULL};
	options.own_group = true;
	options.timeout_ns = 200 * NS_PER_MS;
	strbuf_clear(&results);
	assert_int_equal(process_run(&options, NULL, &said, &code, &err), -ERR_UNAVAILABLE);
	assert_non_null(strstr(err.text, "did not end within"));
	pid_t grandchild = (pid_t)strtol(results.data, NULL, 10);
	assert_true(grandchild > 0);
	for (int i = 0; i < 100 && kill(grandchild, 0) == 0; i++)
		clock_sleep_until_ns(clock_mono_ns() + 20 * NS_PER_MS);
	char path[64], state_line[512] = "";
	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)grandchild);
	FILE *file = fopen(path, "re");
	if (file) { /* without an init process it stays as a zombie */
		assert_non_null(fgets(state_line, sizeof(state_line), file));
		(void)fclose(file);
		assert_non_null(strstr(state_line, ") Z"));
	}
	strbuf_release(&said);
	strbuf_release(&results);
}

static void test_output_ceiling(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct strbuf out;
	strbuf_init(&out, 10);
	assert_int_equal(run_shell("i=0; while [ $i -lt 20000 ]; do echo abcdefgh; i=$((i+1)); done", &out, &err), 0);
	assert_int_equal(out.len, 10);
	assert_string_equal(out.data, "abcdefgh\na");
	strbuf_release(&out);
}

static void test_stdout_to_file(void **state)
{
	(void)state;
	int lines[2];
	assert_int_equal(pipe(lines), 0);
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){"sh", "-c", "echo data; echo word >&2", NULL};
	options.stdout_fd = lines[1];
	struct strbuf out;
	strbuf_init(&out, 100);
	struct error err = ERROR_INIT;
	int code = -1;
	assert_int_equal(process_run(&options, NULL, &out, &code, &err), 0);
	(void)close(lines[1]);
	char text[32] = "";
	assert_int_equal(read(lines[0], text, sizeof(text) - 1), 5);
	assert_string_equal(text, "data\n");
	assert_string_equal(out.data, "word\n");
	(void)close(lines[0]);
	strbuf_release(&out);
}

static void test_not_found(void **state)
{
	(void)state;
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){"no-such-program-here", NULL};
	struct error err = ERROR_INIT;
	int code = -1;
	assert_int_equal(process_run(&options, NULL, NULL, &code, &err), -ERR_UNAVAILABLE);
	assert_string_equal(err.text, "no-such-program-here: no such program in PATH");
	options.argv = (const char *const[]){"/no/such/program", NULL};
	assert_int_equal(process_run(&options, NULL, NULL, &code, &err), -ERR_UNAVAILABLE);
	pid_t pid = 0;
	assert_int_equal(process_start(&options, &pid, &err), -ERR_UNAVAILABLE);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	options.argv = (const char *const[]){"true", NULL};
	options.directory = "/no/such/folder";
	assert_int_equal(process_run(&options, NULL, NULL, &code, &err), -ERR_INTERNAL);
}

static void test_environment_and_folder(void **state)
{
	(void)state;
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){"sh", "-c", "echo $HOME $REHEARSE_X $(pwd)", NULL};
	options.environment = (const char *const[]){"HOME=/elsewhere", "REHEARSE_X=a b", NULL};
	options.directory = "/";
	struct strbuf out;
	strbuf_init(&out, 100);
	struct error err = ERROR_INIT;
	int code = -1;
	assert_int_equal(process_run(&options, NULL, &out, &code, &err), 0);
	assert_string_equal(out.data, "/elsewhere a b /\n");
	strbuf_release(&out);
}

static void test_other_user(void **state)
{
	(void)state;
	const struct passwd *nobody = getpwnam("nobody");
	if (geteuid() != 0 || !nobody)
		skip();
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){"id", "-un", NULL};
	options.uid = nobody->pw_uid;
	options.gid = nobody->pw_gid;
	struct strbuf out;
	strbuf_init(&out, 100);
	struct error err = ERROR_INIT;
	int code = -1;
	assert_int_equal(process_run(&options, NULL, &out, &code, &err), 0);
	assert_string_equal(out.data, "nobody\n");
	strbuf_release(&out);
}

static volatile bool cancelled;

static void *cancel_soon(void *unused)
{
	(void)unused;
	clock_sleep_until_ns(clock_mono_ns() + 200 * NS_PER_MS);
	cancelled = true;
	return NULL;
}

static void test_cancel(void **state)
{
	(void)state;
	pthread_t thread;
	cancelled = false;
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){"sh", "-c", "sleep 30 & sleep 30", NULL};
	options.own_group = true;
	struct error err = ERROR_INIT;
	int code = -1;
	int64_t start_ns = clock_mono_ns();
	assert_int_equal(process_run(&options, &cancelled, NULL, &code, &err), -ERR_INTERRUPTED);
	assert_true(clock_mono_ns() - start_ns < 3 * NS_PER_S);
	assert_int_equal(code, 128 + SIGTERM);
	(void)pthread_join(thread, NULL);
}

/* A grandchild that keeps the output open must not keep the caller. */
static void test_background_grandchild(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct strbuf out;
	strbuf_init(&out, 100);
	int64_t start_ns = clock_mono_ns();
	assert_int_equal(run_shell("sleep 5 & echo $!", &out, &err), 0);
	assert_true(clock_mono_ns() - start_ns < 2 * NS_PER_S);
	(void)kill((pid_t)strtol(out.data, NULL, 10), SIGKILL);
	strbuf_release(&out);
}

static void test_start(void **state)
{
	(void)state;
	int lines[2];
	assert_int_equal(pipe2(lines, O_CLOEXEC), 0);
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){"sh", "-c", "echo out; echo err >&2; exit 3", NULL};
	options.stdout_fd = lines[1];
	options.own_group = true;
	struct error err = ERROR_INIT;
	pid_t pid = 0;
	int status = 0;
	assert_int_equal(process_start(&options, &pid, &err), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 3);
	char text[32] = "";
	assert_int_equal(read(lines[0], text, sizeof(text) - 1), 8);
	assert_string_equal(text, "out\nerr\n");
	(void)close(lines[0]);
	(void)close(lines[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_and_code),
		cmocka_unit_test(test_results_and_time_limit),
		cmocka_unit_test(test_output_ceiling),
		cmocka_unit_test(test_stdout_to_file),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_environment_and_folder),
		cmocka_unit_test(test_other_user),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_background_grandchild),
		cmocka_unit_test(test_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
