/*
 * A migration tool as a process: how it can end, that nothing of it stays, and that it reaches nobody from the network
 * that is made for it. Called as "test_tool_process connect PORT" this program is such a tool itself.
 */
#include "clock.h"
#include "stop_flag.h"
#include "tool_network.h"
#include "tool_process.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct tool_process_result result;
static struct tool_process_options options;

static int run(const char *script)
{
	struct error err = ERROR_INIT;
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	tool_process_result_release(&result);
	options.process.argv = argv;
	int rc = tool_process_run(&options, &result, &err);
	if (rc < 0)
		fail_msg("%s", err.text);
	return result.exit_status;
}

static int set_up(void **state)
{
	(void)state;
	memset(&options, 0, sizeof(options));
	options.process = (struct process_options)PROCESS_OPTIONS_INIT;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tool_process_result_release(&result);
	return 0;
}

static void test_ends(void **state)
{
	(void)state;
	assert_int_equal(run("exit 0"), 0);
	assert_int_equal(result.end, TOOL_EXITED);
	assert_int_equal(run("echo out; echo err >&2; exit 3"), 3);
	assert_int_equal(result.line_count, 2);
	assert_string_equal(result.tail[0], "out");
	assert_string_equal(result.tail[1], "err");
	assert_int_equal(run("kill -SEGV $$"), -1);
	assert_int_equal(result.end, TOOL_DIED);
	assert_int_equal(result.signal, SIGSEGV);
	assert_int_equal(run("i=0; while [ $i -lt 50 ]; do i=$((i + 1)); echo $i; done"), 0);
	assert_int_equal(result.line_count, 50);
	assert_int_equal(result.tail_count, TOOL_TAIL_MAX);
	assert_string_equal(result.tail[0], "31");
	assert_string_equal(result.tail[TOOL_TAIL_MAX - 1], "50");
}

static void test_much_output_does_not_hold_it_up(void **state)
{
	(void)state;
	assert_int_equal(run("head -c 30000000 /dev/zero; echo; echo end"), 0);
	assert_int_equal(result.line_count, 2);
	assert_string_equal(result.tail[1], "end");
}

static int stopping_calls;

static void count_stopping(void *context)
{
	(void)context;
	stopping_calls++;
}

static void test_takes_too_long(void **state)
{
	(void)state;
	options.deadline_ns = clock_mono_ns() + 300 * NS_PER_MS;
	options.stopping = count_stopping;
	int64_t begin_ns = clock_mono_ns();
	(void)run("echo begun; sleep 100");
	assert_int_equal(result.end, TOOL_TIMED_OUT);
	assert_int_equal(result.signal, SIGTERM);
	assert_int_equal(stopping_calls, 1);
	assert_true(clock_mono_ns() - begin_ns < 4 * NS_PER_S);
	/* One that does not listen. */
	options.deadline_ns = clock_mono_ns() + 300 * NS_PER_MS;
	options.grace_ns = 300 * NS_PER_MS;
	(void)run("trap '' TERM; echo begun; while :; do sleep 100; done");
	assert_int_equal(result.end, TOOL_TIMED_OUT);
	assert_int_equal(result.signal, SIGKILL);
	/* One that ends well then: it was not in time all the same. */
	options.deadline_ns = clock_mono_ns() + 300 * NS_PER_MS;
	assert_int_equal(run("trap 'exit 0' TERM; while :; do sleep 0.1; done"), 0);
	assert_int_equal(result.end, TOOL_TIMED_OUT);
}

/* Nobody is there to answer: a question must not wait for the timeout. */
static void test_has_no_terminal(void **state)
{
	(void)state;
	assert_int_equal(run("if (exec </dev/tty) 2>/dev/null; then exit 1; fi; exit 0"), 0);
}

static void test_interrupted(void **state)
{
	(void)state;
	volatile bool cancelled = true;
	options.cancelled = &cancelled;
	(void)run("sleep 100");
	assert_int_equal(result.end, TOOL_INTERRUPTED);
}

static void test_leaves_nobody_behind(void **state)
{
	(void)state;
	assert_int_equal(run("sleep 1000 & echo $!"), 0);
	pid_t left = (pid_t)strtol(result.tail[0], NULL, 10);
	assert_true(left > 1);
	for (int i = 0; i < 100 && kill(left, 0) == 0; i++) /* gone, or its new parent has not yet looked */
		(void)usleep(20000);
	char path[64], status[512] = "";
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)left);
	FILE *file = fopen(path, "r");
	if (file) {
		(void)fread(status, 1, sizeof(status) - 1, file);
		(void)fclose(file);
		assert_non_null(strstr(status, ") Z "));
	}
}

static void test_cannot_be_found(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	const char *const argv[] = {"no-such-program-anywhere", NULL};
	options.process.argv = argv;
	assert_int_equal(tool_process_run(&options, &result, &err), -ERR_UNAVAILABLE);
	assert_non_null(strstr(err.text, "no-such-program-anywhere"));
}

static void test_environment_without(void **state)
{
	(void)state;
	static const char *const added[] = {"PGHOST=127.0.0.1", NULL};
	static const char *const without[] = {"PG*", "ONLY_THIS", NULL};
	(void)setenv("PGSERVICE", "production", 1);
	(void)setenv("PGHOST", "production", 1);
	(void)setenv("ONLY_THIS", "production", 1);
	(void)setenv("ONLY_THIS_NOT", "here", 1);
	options.process.environment = added;
	options.process.without = without;
	assert_int_equal(run("echo $PGHOST $PGSERVICE $ONLY_THIS $ONLY_THIS_NOT"), 0);
	assert_string_equal(result.tail[0], "127.0.0.1 here");
	(void)unsetenv("PGSERVICE");
	(void)unsetenv("PGHOST");
	(void)unsetenv("ONLY_THIS");
	(void)unsetenv("ONLY_THIS_NOT");
}

static int connect_to(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = connect(fd, (struct sockaddr *)&address, sizeof(address));
	(void)close(fd);
	return rc;
}

static int port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.sin_port);
}

static int connect_from_inside(const struct tool_network *network, int port)
{
	struct error err = ERROR_INIT;
	char program[512], number[16];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
	assert_true(len > 0);
	program[len] = '\0';
	(void)snprintf(number, sizeof(number), "%d", port);
	const char *const argv[] = {program, "connect", number, NULL};
	options.process.argv = argv;
	options.process.namespaces[0] = network->user_fd;
	options.process.namespaces[1] = network->net_fd;
	tool_process_result_release(&result);
	if (tool_process_run(&options, &result, &err) < 0)
		fail_msg("%s", err.text);
	return result.exit_status;
}

static void test_network_with_one_door(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct tool_network network;
	if (tool_network_init(&network, &err) < 0) {
		print_message("%s\n", err.text);
		skip();
	}
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int outside = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(outside, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(outside, 5), 0);
	assert_int_equal(connect_to(port_of(outside)), 0);
	assert_int_equal(connect_from_inside(&network, port_of(outside)), 1);
	assert_int_equal(connect_from_inside(&network, port_of(network.listen_fd)), 0);
	assert_int_equal(connect_to(port_of(network.listen_fd)), -1); /* and nobody comes in from here */
	(void)close(outside);
	tool_network_release(&network);
	tool_network_release(&network);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_much_output_does_not_hold_it_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_takes_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_has_no_terminal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_interrupted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_leaves_nobody_behind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cannot_be_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_environment_without, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_network_with_one_door, set_up, tear_down),
	};
	if (argc == 3 && strcmp(argv[1], "connect") == 0)
		return connect_to((int)strtol(argv[2], NULL, 10)) == 0 ? 0 : 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
