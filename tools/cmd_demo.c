/*
 * rehearse demo: the whole thing on this machine, with no set-up. A source server with a shop in it, a base backup, the
 * shop's traffic in its log; then three migrations, each rehearsed under that traffic on two clones of the backup.
 */
#include "clock.h"
#include "commands.h"
#include "demo_rehearse.h"
#include "demo_server.h"
#include "demo_shop.h"
#include "demo_traffic.h"
#include "interrupt.h"
#include "mem.h"
#include "output.h"

#include <errno.h>
#include <sys/stat.h>

enum {
	RUNS_MAX = 8,
	EXIT_UNEXPECTED = ERR_INTERNAL
};

static bool keep;
static const char *folder;
static int64_t seconds;

static const struct option options[] = {
	OPT_STRING('o', "output", &folder, "FOLDER", "where the reports go", .standard = "rehearse-demo"),
	OPT_FLAG(0, "keep", &keep, "keep the shop's log, base backup and replay file, to try other migrations on"),
	OPT_INT(0, "seconds", &seconds, "N", "how long the shop's traffic is recorded", .standard = "13", .min = 12,
		.max = 600),
	OPT_END,
};

/* "1.8 s" into a buffer of the caller's. */
static const char *since(int64_t begin_ns, char out[32])
{
	(void)snprintf(out, 32, "%.1f s", ns_to_s(clock_mono_ns() - begin_ns));
	return out;
}

static int make_shop(struct demo_server *server, struct error *err)
{
	char took[32];
	int64_t begin_ns = clock_mono_ns();
	output_message(
		"A PostgreSQL server of the demo's own plays production: a shop with %d customers, %d orders and %d "
		"order lines.",
		DEMO_CUSTOMERS, DEMO_ORDERS, DEMO_LINES);
	if (demo_server_start(server, interrupt_flag(), err) < 0 || demo_shop_create(server, err) < 0 ||
	    demo_server_backup(server, err) < 0)
		return -err->code;
	output_message("  made, and backed up as the clones' starting point, in %s", since(begin_ns, took));
	return 0;
}

static int record_traffic(struct demo_server *server, struct error *err)
{
	struct demo_traffic traffic;
	output_message("Its customers arrive, for %d s, while the server logs what they ask.", (int)seconds);
	if (demo_server_log_statements(server, err) < 0 || demo_traffic_run(server, (int)seconds, &traffic, err) < 0 ||
	    demo_server_stop(server, err) < 0)
		return -err->code;
	struct stat info;
	if (stat(server->log, &info) != 0)
		return error_set_errno(err, ERR_INTERNAL, "%s", server->log);
	output_message("  %lld transactions of %d sessions; %.1f MB of csvlog", (long long)traffic.transactions,
		       traffic.sessions, (double)info.st_size / 1e6);
	return 0;
}

static int rehearse_all(const struct demo_server *server, struct demo_run *runs, struct error *err)
{
	/* Before the middle: the rewrite takes seconds, and what comes after it wants to be seen too. */
	struct demo_recording recording = {
		.server = server, .folder = folder, .migrate_at_ns = seconds * NS_PER_S * 2 / 5};
	if (demo_recording_make(&recording, err) < 0)
		return -err->code;
	int rc = 0;
	for (size_t i = 0; rc == 0 && demo_migrations[i].name && i < RUNS_MAX; i++) {
		output_message("%s: %s.", demo_migrations[i].name, demo_migrations[i].question);
		rc = demo_rehearse(&recording, &demo_migrations[i], &runs[i], err);
		if (rc == 0)
			output_message("  %s: %s", runs[i].outcome, runs[i].reason);
	}
	demo_recording_release(&recording);
	return rc;
}

/* Every outcome as it should be? */
static bool as_expected(const struct demo_run *runs)
{
	for (size_t i = 0; demo_migrations[i].name; i++) {
		if (!runs[i].outcome || strcmp(runs[i].outcome, demo_migrations[i].outcome) != 0)
			return false;
	}
	return true;
}

static void print_table(const struct demo_run *runs)
{
	output_text("\n%-16s  %-11s  %s\n", "migration", "verdict", "reason and report");
	for (size_t i = 0; demo_migrations[i].name; i++) {
		bool good = strcmp(runs[i].outcome, demo_migrations[i].outcome) == 0;
		output_text("%-16s  %-11s  %s\n%-16s  %-11s  %s\n", demo_migrations[i].name, runs[i].outcome,
			    runs[i].reason, "", good ? "" : "(unexpected)", runs[i].report);
	}
}

static void print_json(const struct demo_run *runs)
{
	json_t *list = json_array();
	for (size_t i = 0; demo_migrations[i].name; i++)
		(void)json_array_append_new(list,
					    json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", demo_migrations[i].name,
						      "outcome", runs[i].outcome, "reason", runs[i].reason, "report",
						      runs[i].report, "expected", demo_migrations[i].outcome));
	json_t *object = json_pack("{s:s, s:o}", "schema", "rehearse.demo/1", "runs", list);
	output_json(object);
	json_decref(object);
}

static int run(const struct command_call *call, struct error *err)
{
	(void)call;
	char took[32];
	int64_t begin_ns = clock_mono_ns();
	struct demo_server server = {0};
	struct demo_run runs[RUNS_MAX] = {0};
	if (mkdir(folder, 0777) != 0 && errno != EEXIST)
		return error_set_errno(err, ERR_USAGE, "%s", folder);
	int rc = make_shop(&server, err);
	if (rc == 0)
		rc = record_traffic(&server, err);
	if (rc == 0)
		rc = rehearse_all(&server, runs, err);
	if (keep && server.folder && rc == 0)
		demo_server_keep(&server);
	demo_server_release(&server);
	if (rc == 0) {
		print_table(runs);
		print_json(runs);
		output_message("The demo took %s.", since(begin_ns, took));
		rc = as_expected(runs) ? 0 : EXIT_UNEXPECTED;
	}
	for (size_t i = 0; i < RUNS_MAX; i++)
		demo_run_release(&runs[i]);
	return rc;
}

const struct command cmd_demo = {
	.name = "demo",
	.summary = "shows the whole thing on this machine in about a minute, with no set-up",
	.arguments = "",
	.options = options,
	.run = run,
	.docs = "Makes a PostgreSQL server with a shop in it (one and a half million order lines), takes a base "
		"backup, lets "
		"three "
		"applications with 24 sessions work on it for a while, and then tests three migrations under that "
		"recorded "
		"traffic: one that rewrites a busy table, one that drops indexes and creates them anew, and a harmless "
		"one."
		"\n\n"
		"Needs PostgreSQL's server programs (tools/demo.sh installs them). Everything but the reports is "
		"removed at "
		"the end. The exit code is 0 when the verdicts are hurts, hurts and clear, as they should be, else 70.",
	.examples = "rehearse demo\nrehearse demo --keep -o /tmp/shop",
};
