/* The Prometheus page: what it says of a progress, over a real connection; and places that cannot be listened on. */
#include "clock.h"
#include "metrics.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	(void)close(fd);
	return ntohs(address.sin_port);
}

static void get(int port, const char *path, char *out, size_t size)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char request[200];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	int len = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
	assert_int_equal(write(fd, request, (size_t)len), len);
	size_t used = 0;
	for (ssize_t got; used < size - 1 && (got = read(fd, out + used, size - 1 - used)) > 0;)
		used += (size_t)got;
	out[used] = '\0';
	(void)close(fd);
}

static void test_page(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	static char page[65536];
	char place[40];
	struct rehearsal_progress progress = {.lane_count = 2, .waiting = {0, 7}, .now_ns = 3 * NS_PER_S};
	progress.lanes[0].statements_done = 42;
	progress.lanes[1].latency_p99_ns = 250 * NS_PER_MS;
	int port = free_port();
	(void)snprintf(place, sizeof(place), "127.0.0.1:%d", port);
	metrics_update(&progress); /* nobody listens yet: nothing happens */
	assert_int_equal(metrics_listen(place, &err), 0);
	metrics_update(&progress);
	get(port, "/metrics", page, sizeof(page));
	assert_non_null(strstr(page, "200 OK"));
	assert_non_null(strstr(page, "rehearse_statements_total{lane=\"baseline\"} 42\n"));
	assert_non_null(strstr(page, "rehearse_backends_waiting{lane=\"migrating\"} 7\n"));
	assert_non_null(strstr(page, "rehearse_latency_p99_seconds{lane=\"migrating\"} 0.25\n"));
	assert_non_null(strstr(page, "rehearse_replay_seconds 3.000\n"));
	get(port, "/", page, sizeof(page));
	assert_non_null(strstr(page, "404"));
}

static void test_places_that_do_not_work(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	assert_int_equal(metrics_listen("127.0.0.1:0", &err), -ERR_USAGE);
	assert_int_equal(metrics_listen("nonsense", &err), -ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places_that_do_not_work),
		cmocka_unit_test(test_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
