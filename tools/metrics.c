/* Prometheus metrics of the replay that runs: see metrics.h. */
#include "metrics.h"

#include "clock.h"
#include "mem.h"
#include "num.h"
#include "strbuf.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <pthread.h>

#define BODY_MAX ((size_t)64 * 1024)

static struct {
	pthread_mutex_t lock;
	bool listening;
	_Atomic bool stop; /* looked at by the thread: its loop is nobody else's to touch */
	struct rehearsal_progress last;
	struct event_base *base;
	struct evhttp *http;
	pthread_t thread;
} metrics = {.lock = PTHREAD_MUTEX_INITIALIZER};

enum metric_source {
	STATEMENTS,
	ITEMS,
	ERRORS,
	BUSY,
	WAITING,
	LATENCY,
	LAG
};

static double metric_value(const struct rehearsal_progress *p, int lane, enum metric_source source)
{
	const struct lane_progress *l = &p->lanes[lane];
	switch (source) {
	case STATEMENTS:
		return (double)l->statements_done;
	case ITEMS:
		return (double)l->items_done;
	case ERRORS:
		return (double)l->errors;
	case BUSY:
		return l->busy;
	case WAITING:
		return p->waiting[lane];
	case LATENCY:
		return ns_to_s(l->latency_p99_ns);
	default:
		return ns_to_s(l->lag_p99_ns);
	}
}

static void format_metrics(const struct rehearsal_progress *p, struct strbuf *out)
{
	static const struct {
		enum metric_source source;
		const char *name;
		const char *type;
		const char *help;
	} table[] = {
		{STATEMENTS, "rehearse_statements_total", "counter", "statements finished"},
		{ITEMS, "rehearse_items_total", "counter", "items of the replay file with an outcome"},
		{ERRORS, "rehearse_errors_total", "counter", "items that ended with an error"},
		{BUSY, "rehearse_sessions_busy", "gauge", "sessions that wait for the server"},
		{WAITING, "rehearse_backends_waiting", "gauge", "backends that wait for a lock"},
		{LATENCY, "rehearse_latency_p99_seconds", "gauge", "99th percentile of latency in the last second"},
		{LAG, "rehearse_lag_p99_seconds", "gauge",
		 "99th percentile of the harness's own lag in the last second"},
	};
	static const char *const lanes[2] = {"baseline", "migrating"};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", table[i].name, table[i].help, table[i].name,
			    table[i].type);
		for (int lane = 0; lane < p->lane_count; lane++)
			strbuf_addf(out, "%s{lane=\"%s\"} %.9g\n", table[i].name, lanes[lane],
				    metric_value(p, lane, table[i].source));
	}
	strbuf_addf(out,
		    "# HELP rehearse_migration_statement number of the migration's statement that runs, 0 for none\n"
		    "# TYPE rehearse_migration_statement gauge\nrehearse_migration_statement %u\n",
		    p->migration_running ? p->migration_statement : 0);
	strbuf_addf(out,
		    "# HELP rehearse_replay_seconds time since the run's start\n"
		    "# TYPE rehearse_replay_seconds gauge\nrehearse_replay_seconds %.3f\n",
		    p->now_ns > 0 ? ns_to_s(p->now_ns) : 0.0);
}

static void answer(struct evhttp_request *request, void *context)
{
	struct strbuf text;
	(void)context;
	strbuf_init(&text, BODY_MAX);
	(void)pthread_mutex_lock(&metrics.lock);
	format_metrics(&metrics.last, &text);
	(void)pthread_mutex_unlock(&metrics.lock);
	struct evbuffer *body = evbuffer_new();
	if (body)
		(void)evbuffer_add(body, text.data, text.len);
	(void)evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
				"text/plain; version=0.0.4; charset=utf-8");
	evhttp_send_reply(request, HTTP_OK, "OK", body);
	if (body)
		evbuffer_free(body);
	strbuf_release(&text);
}

static void look_up(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	(void)context;
	if (metrics.stop)
		(void)event_base_loopbreak(metrics.base);
}

static void *serve(void *context)
{
	struct event tick;
	struct timeval every = {.tv_usec = 100000};
	(void)context;
	(void)event_assign(&tick, metrics.base, -1, EV_PERSIST, look_up, NULL);
	(void)event_add(&tick, &every);
	(void)event_base_dispatch(metrics.base);
	(void)event_del(&tick);
	return NULL;
}

static void stop_at_exit(void)
{
	metrics.stop = true;
	(void)pthread_join(metrics.thread, NULL);
	evhttp_free(metrics.http);
	event_base_free(metrics.base);
}

int metrics_listen(const char *place, struct error *err)
{
	const char *colon = strrchr(place, ':');
	int64_t port;
	if (num_parse_int(colon ? colon + 1 : place, 1, 65535, &port, err) < 0)
		return error_context(err, "--metrics-listen");
	char *address = colon ? mem_strndup(place, (size_t)(colon - place)) : mem_strdup("127.0.0.1");
	metrics.base = event_base_new();
	metrics.http = metrics.base ? evhttp_new(metrics.base) : NULL;
	int rc = 0;
	if (!metrics.http || evhttp_bind_socket(metrics.http, address, (uint16_t)port) != 0)
		rc = error_set(err, ERR_USAGE, "--metrics-listen: cannot listen on %s port %lld", address,
			       (long long)port);
	free(address);
	if (rc < 0)
		return rc;
	evhttp_set_allowed_methods(metrics.http, EVHTTP_REQ_GET);
	(void)evhttp_set_cb(metrics.http, "/metrics", answer, NULL);
	if (pthread_create(&metrics.thread, NULL, serve, NULL) != 0)
		return error_set(err, ERR_INTERNAL, "--metrics-listen: cannot start a thread");
	metrics.listening = true;
	(void)atexit(stop_at_exit);
	return 0;
}

void metrics_update(const struct rehearsal_progress *progress)
{
	if (!metrics.listening)
		return;
	(void)pthread_mutex_lock(&metrics.lock);
	metrics.last = *progress;
	(void)pthread_mutex_unlock(&metrics.lock);
}
