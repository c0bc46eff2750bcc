/* Posting a verdict: to a server on this machine that answers as each test says. */
#include "clock.h"
#include "notify.h"
#include "secret.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET	 "T00/B00/very-secret-token"
#define SILENCE	 "" /* the connection stays open, and nothing comes */
#define REQUESTS 8

/* Answers the first request with the first answer, and so on; closes each connection. */
struct server {
	int fd;
	int port;
	const char *const *answers; /* NULL-terminated */
	int served;
	char requests[REQUESTS][4096];
	int64_t times_ns[REQUESTS];
	pthread_t thread;
	int stop[2];
};

static void read_request(int fd, char *out, size_t size)
{
	size_t used = 0;
	size_t want = SIZE_MAX;
	while (used < size - 1 && used < want) {
		ssize_t got = read(fd, out + used, size - 1 - used);
		if (got <= 0)
			break;
		used += (size_t)got;
		out[used] = '\0';
		const char *body = strstr(out, "\r\n\r\n");
		const char *length = strcasestr(out, "Content-Length: ");
		if (body && length)
			want = (size_t)(body + 4 - out) + (size_t)strtoul(length + 16, NULL, 10);
	}
	out[used] = '\0';
}

static void *serve(void *context)
{
	struct server *s = context;
	struct pollfd polls[2] = {{.fd = s->fd, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
	while (s->answers[s->served] && poll(polls, 2, -1) > 0 && !(polls[1].revents & POLLIN)) {
		const char *answer = s->answers[s->served];
		int fd = accept(s->fd, NULL, NULL);
		s->times_ns[s->served] = clock_mono_ns();
		read_request(fd, s->requests[s->served], sizeof(s->requests[0]));
		s->served++;
		if (*answer == '\0')
			(void)poll(&polls[1], 1, 5000);
		else
			(void)!write(fd, answer, strlen(answer));
		(void)close(fd);
	}
	return NULL;
}

static void server_start(struct server *s, const char *const *answers)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	memset(s, 0, sizeof(*s));
	s->answers = answers;
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(s->fd, 4), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&address, &len), 0);
	s->port = ntohs(address.sin_port);
	assert_int_equal(pipe(s->stop), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_end(struct server *s)
{
	(void)!write(s->stop[1], "x", 1);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	(void)close(s->fd);
	(void)close(s->stop[0]);
	(void)close(s->stop[1]);
}

static int post_to(int port, struct error *err)
{
	char url[100];
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/services/" SECRET, port);
	struct notify_request request = {.url = url,
					 .body = "{\"text\": \"hello\"}",
					 .body_len = 17,
					 .tries = 4,
					 .backoff_ns = 20 * NS_PER_MS,
					 .timeout_ns = 500 * NS_PER_MS};
	return notify_post(&request, err);
}

/* No message repeats the address. */
static void assert_secret_kept(const struct error *err)
{
	assert_null(strstr(err->text, "secret"));
	assert_null(strstr(err->text, "127.0.0.1"));
	assert_null(strstr(err->text, "http:"));
}

static void test_it_arrives(void **state)
{
	(void)state;
	struct server server;
	struct error err = ERROR_INIT;
	static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", NULL};
	server_start(&server, answers);
	assert_int_equal(post_to(server.port, &err), 0);
	server_end(&server);
	assert_int_equal(server.served, 1);
	assert_ptr_equal(strstr(server.requests[0], "POST /services/" SECRET " HTTP/1.1\r\n"), server.requests[0]);
	assert_non_null(strstr(server.requests[0], "Content-Type: application/json"));
	assert_non_null(strstr(server.requests[0], "\r\n\r\n{\"text\": \"hello\"}"));
}

/* 503, no answer at all, 429 that asks for a second, then 200: three waits, of which the last is that second. */
static void test_it_is_tried_again(void **state)
{
	(void)state;
	struct server server;
	struct error err = ERROR_INIT;
	static const char *const answers[] = {
		"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "garbage\r\n",
		"HTTP/1.1 429 Slow down\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 204 Fine\r\nConnection: close\r\n\r\n", NULL};
	server_start(&server, answers);
	int rc = post_to(server.port, &err);
	server_end(&server);
	if (rc < 0)
		fail_msg("%s", err.text);
	assert_int_equal(server.served, 4);
	assert_true(server.times_ns[1] - server.times_ns[0] >= 20 * NS_PER_MS);
	assert_true(server.times_ns[3] - server.times_ns[2] >= NS_PER_S);
}

static void test_it_gives_up(void **state)
{
	(void)state;
	struct server server;
	struct error err = ERROR_INIT;
	static const char busy[] = "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	static const char *const answers[] = {busy, busy, busy, busy, busy, NULL};
	server_start(&server, answers);
	assert_int_equal(post_to(server.port, &err), -ERR_UNAVAILABLE);
	server_end(&server);
	assert_int_equal(server.served, 4);
	assert_string_equal(err.text, "--notify: the webhook answered HTTP 500, 4 tries");
}

/* What the webhook says for good is not asked twice. */
static void test_a_refusal_is_final(void **state)
{
	(void)state;
	struct server server;
	struct error err = ERROR_INIT;
	static const char gone[] = "HTTP/1.1 404 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	static const char *const answers[] = {gone, gone, NULL};
	server_start(&server, answers);
	assert_int_equal(post_to(server.port, &err), -ERR_UNAVAILABLE);
	server_end(&server);
	assert_int_equal(server.served, 1);
	assert_string_equal(err.text, "--notify: the webhook answered HTTP 404, 1 try");
}

/* Neither to another host nor to the same: the body goes where the user said, or nowhere. */
static void test_no_redirect_is_followed(void **state)
{
	(void)state;
	struct server server;
	struct server other;
	struct error err = ERROR_INIT;
	static const char *const none[] = {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NULL};
	static char redirect[200];
	server_start(&other, none);
	(void)snprintf(redirect, sizeof(redirect),
		       "HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n"
		       "Connection: close\r\n\r\n",
		       other.port);
	const char *const answers[] = {redirect, NULL};
	server_start(&server, answers);
	assert_int_equal(post_to(server.port, &err), -ERR_UNAVAILABLE);
	server_end(&server);
	server_end(&other);
	assert_int_equal(server.served, 1);
	assert_int_equal(other.served, 0);
	assert_non_null(strstr(err.text, "redirects (HTTP 307)"));
	assert_secret_kept(&err);
}

/* The verdict's message, refused for good: a warning, or with --notify-required an error. */
static void test_required(void **state)
{
	(void)state;
	static const char gone[] = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	static const char *const answers[] = {gone, gone, gone, NULL};
	struct server server;
	struct error err = ERROR_INIT;
	char url[100];
	json_t *document = json_pack("{s:s, s:s}", "outcome", "clear", "reason", "Nothing.");
	struct verdict verdict = {VERDICT_CLEAR, "Nothing.", document};
	server_start(&server, answers);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/" SECRET, server.port);
	struct notify_args args = {.url = url, .link = "https://ci.example.com/1"};
	assert_int_equal(notify_verdict(&args, &verdict, &err), 0);
	args.required = true;
	assert_int_equal(notify_verdict(&args, &verdict, &err), -ERR_UNAVAILABLE);
	assert_secret_kept(&err);
	notify_failure(&args, "test-migration", "the source is not there");
	server_end(&server);
	assert_int_equal(server.served, 3);
	assert_non_null(strstr(server.requests[0], "Rehearse: Clear. Nothing."));
	assert_non_null(strstr(server.requests[0], "<https://ci.example.com/1|Full report>"));
	assert_non_null(strstr(server.requests[2], "Rehearse: no verdict. test-migration: the source is not there"));
	json_decref(document);
}

static void test_silence_ends(void **state)
{
	(void)state;
	struct server server;
	struct error err = ERROR_INIT;
	char url[100];
	static const char *const answers[] = {SILENCE, NULL};
	server_start(&server, answers);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/" SECRET, server.port);
	struct notify_request request = {
		.url = url, .body = "{}", .body_len = 2, .tries = 1, .timeout_ns = 200 * NS_PER_MS};
	int64_t start_ns = clock_mono_ns();
	assert_int_equal(notify_post(&request, &err), -ERR_UNAVAILABLE);
	assert_true(clock_mono_ns() - start_ns < 4 * NS_PER_S);
	server_end(&server);
	assert_secret_kept(&err);
}

static void test_nobody_listens(void **state)
{
	(void)state;
	struct server server;
	struct error err = ERROR_INIT;
	static const char *const answers[] = {NULL};
	server_start(&server, answers);
	server_end(&server);
	assert_int_equal(post_to(server.port, &err), -ERR_UNAVAILABLE);
	assert_non_null(strstr(err.text, "4 tries"));
	assert_secret_kept(&err);
}

static void test_interrupt_ends_the_waiting(void **state)
{
	(void)state;
	struct server server;
	struct error err = ERROR_INIT;
	char url[100];
	static const char *const answers[] = {NULL};
	bool cancelled = true;
	server_start(&server, answers);
	server_end(&server);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/" SECRET, server.port);
	struct notify_request request = {.url = url,
					 .body = "{}",
					 .body_len = 2,
					 .tries = 4,
					 .backoff_ns = 60 * NS_PER_S,
					 .timeout_ns = NS_PER_S,
					 .cancelled = &cancelled};
	int64_t start_ns = clock_mono_ns();
	assert_int_equal(notify_post(&request, &err), -ERR_INTERRUPTED);
	assert_true(clock_mono_ns() - start_ns < 5 * NS_PER_S);
}

static void test_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		bool good;
	} cases[] = {
		{"https://hooks.example.com/" SECRET, true},
		{"https://user:secret@hooks.example.com/x", true},
		{"http://127.0.0.1:8080/x", true},
		{"http://localhost/x", true},
		{"http://[::1]:80/x", true},
		{"http://hooks.example.com/" SECRET, false},
		{"http://127.0.0.1.example.com@evil.example.com/" SECRET, false},
		{"http://127.0.0.1.example.com/" SECRET, false},
		{"ftp://hooks.example.com/" SECRET, false},
		{"file:///etc/secret", false},
		{"hooks.example.com/" SECRET, false},
		{"", false},
		{"https://", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct error err = ERROR_INIT;
		struct notify_args args = {.url = cases[i].url};
		int rc = notify_check(&args, &err);
		if ((rc == 0) != cases[i].good)
			fail_msg("%s: %d %s", cases[i].url, rc, err.text);
		assert_null(strstr(err.text, "secret"));
		assert_null(strstr(err.text, "example.com"));
	}
	struct error err = ERROR_INIT;
	struct notify_args nowhere = {.required = true};
	assert_int_equal(notify_check(&nowhere, &err), -ERR_USAGE);
	struct notify_args none = {0};
	assert_int_equal(notify_check(&none, &err), 0);
}

/* Other users can read the command line. */
static void test_out_of_sight(void **state)
{
	(void)state;
	bool found;
	char words[5][80] = {"rehearse", "--notify", "https://hooks.example.com/" SECRET,
			     "--notify=https://hooks.example.com/" SECRET, "https://ci.example.com/1"};
	char *argv[] = {words[0], words[1], words[2], words[3], words[4], NULL};
	char **copy = secret_take_arguments(5, argv, &found);
	assert_false(found);
	assert_null(strstr(words[2], "secret"));
	assert_null(strstr(words[3], "secret"));
	assert_ptr_equal(strstr(words[3], "--notify=https://xxx"), words[3]);
	assert_string_equal(words[4], "https://ci.example.com/1");
	assert_string_equal(copy[2], "https://hooks.example.com/" SECRET);
	for (int i = 0; i < 5; i++)
		free(copy[i]);
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_arrives),
		cmocka_unit_test(test_it_is_tried_again),
		cmocka_unit_test(test_it_gives_up),
		cmocka_unit_test(test_a_refusal_is_final),
		cmocka_unit_test(test_no_redirect_is_followed),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_silence_ends),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_interrupt_ends_the_waiting),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_out_of_sight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
