/* The shop's programs: see demo_traffic.h. */
#include "demo_traffic.h"

#include "clock.h"
#include "demo_shop.h"
#include "mem.h"
#include "num.h"
#include "out_file.h"
#include "output.h"

#include <string.h>

/*
 * An order's number comes from its sequence by currval(), in the session's own words: a replay that draws another
 * number than the recording still inserts lines that belong to its order.
 */
static const char place_order[] =
	"\\set customer random(1, 50000)\n"
	"\\set first random(1, 9000)\n"
	"\\set second :first + random(1, 999)\n"
	"\\set quantity random(1, 5)\n"
	"BEGIN;\n"
	"SELECT name, city FROM customers WHERE customer_id = :customer;\n"
	"SELECT product_id, price, on_hand FROM stock WHERE product_id IN (:first, :second) ORDER BY product_id;\n"
	"INSERT INTO orders (customer_id, status, placed_at, total) VALUES (:customer, 'paid', now(), 49.95);\n"
	"INSERT INTO order_lines (order_id, product_id, quantity, price) VALUES"
	" (currval('orders_order_id_seq'), :first, :quantity, 9.99), (currval('orders_order_id_seq'), :second, 1, "
	"19.99);\n"
	"UPDATE stock SET on_hand = on_hand - :quantity WHERE product_id = :first;\n"
	"UPDATE stock SET on_hand = on_hand - 1 WHERE product_id = :second;\n"
	"COMMIT;\n";

static const char order_history[] =
	"\\set customer random(1, 50000)\n"
	"SELECT o.order_id, o.status, o.placed_at, sum(l.quantity * l.price) AS total FROM orders o"
	" JOIN order_lines l USING (order_id) WHERE o.customer_id = :customer"
	" GROUP BY o.order_id ORDER BY o.placed_at DESC, o.order_id LIMIT 20;\n";

static const char order_detail[] =
	"\\set order random(1, 500000)\n"
	"SELECT l.order_line_id, s.name, l.quantity, l.price FROM order_lines l JOIN stock s USING (product_id)"
	" WHERE l.order_id = :order ORDER BY l.order_line_id;\n";

static const char stock_lookup[] = "\\set product random(1, 10000)\n"
				   "SELECT name, price, on_hand FROM stock WHERE product_id = :product;\n";

static const char order_status[] = "\\set order random(1, 500000)\n"
				   "BEGIN;\n"
				   "SELECT status FROM orders WHERE order_id = :order FOR UPDATE;\n"
				   "UPDATE orders SET status = 'sent' WHERE order_id = :order;\n"
				   "COMMIT;\n";

static const char change_lines[] = "\\set order random(1, 500000)\n"
				   "UPDATE order_lines SET quantity = quantity + 1 WHERE order_id = :order;\n";

static const char product_sales[] = "\\set product random(1, 10000)\n"
				    "SELECT count(*), sum(quantity), sum(quantity * price) FROM order_lines"
				    " WHERE product_id = :product;\n";

static const struct script {
	const char *name;
	const char *text;
} scripts[] = {
	{"place-order", place_order},	  {"order-history", order_history}, {"order-detail", order_detail},
	{"stock-lookup", stock_lookup},	  {"order-status", order_status},   {"change-lines", change_lines},
	{"product-sales", product_sales},
};

enum {
	APPLICATIONS = 3,
	MIX_MAX = 4
};

static const struct application {
	const char *name;
	const char *mode; /* pgbench's query mode */
	const char *sessions;
	const char *rate;	  /* transactions a second */
	const char *mix[MIX_MAX]; /* script@weight */
} applications[APPLICATIONS] = {
	{"shop-web", "prepared", "12", "160", {"order-history@4", "order-detail@4", "stock-lookup@4", "place-order@2"}},
	{"shop-api", "simple", "8", "160", {"place-order@2", "order-status@3", "stock-lookup@3", "change-lines@1"}},
	{"shop-reports", "simple", "4", "30", {"product-sales@1", "order-history@1"}},
};

static int write_scripts(const struct demo_server *server, struct error *err)
{
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		char *path = mem_printf("%s/%s.sql", server->folder, scripts[i].name);
		int rc = out_file_save(path, scripts[i].text, strlen(scripts[i].text), err);
		free(path);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* One application's pgbench, its words kept for as long as it runs. */
struct client {
	struct demo_job job;
	char *program;
	char *name;
	char *files[MIX_MAX];
	const char *environment[2];
	const char *words[48];
};

static int start_client(struct client *client, const struct demo_server *server, const struct application *app,
			const char *seconds, struct error *err)
{
	size_t n = 0;
	client->program = demo_server_program(server, "pgbench");
	client->name = mem_printf("PGAPPNAME=%s", app->name);
	client->environment[0] = client->name;
	const char *const fixed[] = {
		client->program,   "--no-vacuum", "-h",	     server->folder, "-U",	    DEMO_ROLE, "-T",
		seconds,	   "-M",	  app->mode, "-c",	     app->sessions, "-R",      app->rate,
		"--random-seed=1", NULL};
	for (; fixed[n]; n++)
		client->words[n] = fixed[n];
	for (size_t i = 0; i < MIX_MAX && app->mix[i]; i++) {
		const char *at = strchr(app->mix[i], '@');
		client->files[i] =
			mem_printf("%s/%.*s.sql%s", server->folder, (int)(at - app->mix[i]), app->mix[i], at);
		client->words[n++] = "-f";
		client->words[n++] = client->files[i];
	}
	client->words[n++] = DEMO_DATABASE;
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = client->words;
	options.environment = client->environment;
	options.own_group = true;
	return demo_job_start(&client->job, &options, err);
}

/* "number of transactions actually processed: 1744" */
static int64_t count_transactions(const struct strbuf *output)
{
	static const char label[] = "actually processed: ";
	const char *at = strstr(output->data, label);
	uint64_t count = 0;
	size_t used;
	if (at)
		(void)num_scan_digits(at + strlen(label), strlen(at + strlen(label)), &count, &used);
	return (int64_t)count;
}

static bool all_ended(const struct client *clients)
{
	for (size_t i = 0; i < APPLICATIONS; i++) {
		if (clients[i].job.started && !clients[i].job.ended)
			return false;
	}
	return true;
}

static void watch(struct client *clients, const struct demo_server *server, int seconds)
{
	int64_t begin_ns = clock_mono_ns();
	output_progress_begin("shop's traffic", "s", 1e9);
	while (!all_ended(clients)) {
		output_progress(clock_mono_ns() - begin_ns, seconds * NS_PER_S);
		if (*server->cancelled) {
			for (size_t i = 0; i < APPLICATIONS; i++)
				demo_job_stop(&clients[i].job);
		}
		clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
	}
	output_progress_end();
}

int demo_traffic_run(struct demo_server *server, int seconds, struct demo_traffic *traffic, struct error *err)
{
	struct client clients[APPLICATIONS] = {0};
	char text[16];
	(void)snprintf(text, sizeof(text), "%d", seconds);
	memset(traffic, 0, sizeof(*traffic));
	int rc = write_scripts(server, err);
	for (size_t i = 0; rc == 0 && i < APPLICATIONS; i++) {
		rc = start_client(&clients[i], server, &applications[i], text, err);
		traffic->sessions += (int)strtol(applications[i].sessions, NULL, 10);
	}
	if (rc < 0) {
		for (size_t i = 0; i < APPLICATIONS; i++)
			demo_job_stop(&clients[i].job);
	}
	watch(clients, server, seconds);
	for (size_t i = 0; i < APPLICATIONS; i++) {
		struct error end = ERROR_INIT;
		if (clients[i].job.started)
			traffic->transactions += count_transactions(&clients[i].job.output);
		if (demo_job_wait(&clients[i].job, &end) < 0 && rc == 0) {
			*err = end;
			rc = -end.code;
		}
		free(clients[i].program);
		free(clients[i].name);
		for (size_t f = 0; f < MIX_MAX; f++)
			free(clients[i].files[f]);
	}
	if (*server->cancelled)
		rc = error_set(err, ERR_INTERRUPTED, "interrupted");
	return rc;
}
