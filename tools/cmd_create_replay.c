/* rehearse create-replay: query logs into a replay file. */
#include "clock.h"
#include "commands.h"
#include "create_replay.h"
#include "interrupt.h"
#include "output.h"

static const char *output_path;
static const char *source_host;
static const char *log_timezone;
static const char *log_line_prefix;
static const char *from;
static const char *to;
static int format;
static bool read_only;
static int64_t session_idle_ns;
static struct option_list include, exclude;
static struct option_list database, user, application;
static struct option_list exclude_database, exclude_user, exclude_application;

static const char *const formats[] = {"auto", "csvlog", "stderr", "jsonlog", NULL};

static const struct option options[] = {
	OPT_STRING('o', "output", &output_path, "FILE", "the replay file to write", .attributes = OPTION_REQUIRED),
	OPT_ENUM(0, "format", &format, "FORMAT", formats, "what the logs are; auto looks at each file",
		 .standard = "auto"),
	OPT_STRING(0, "log-line-prefix", &log_line_prefix, "PREFIX",
		   "the server's log_line_prefix, for stderr logs whose prefix is none of the usual ones"),
	OPT_STRING(0, "from", &from, "TIME",
		   "keep what was done from this time on (RFC 3339, or the log's local time)"),
	OPT_STRING(0, "to", &to, "TIME", "keep what was done before this time"),
	OPT_LIST(0, "database", &database, "NAME", "keep only sessions in this database"),
	OPT_LIST(0, "user", &user, "NAME", "keep only sessions of this user"),
	OPT_LIST(0, "application", &application, "NAME", "keep only sessions that began with this application_name"),
	OPT_LIST(0, "exclude-database", &exclude_database, "NAME", "leave out sessions in this database"),
	OPT_LIST(0, "exclude-user", &exclude_user, "NAME", "leave out sessions of this user"),
	OPT_LIST(0, "exclude-application", &exclude_application, "NAME",
		 "leave out sessions that began with this application_name"),
	OPT_LIST(0, "include", &include, "REGEX", "keep only statements whose text matches one of these"),
	OPT_LIST(0, "exclude", &exclude, "REGEX", "leave out statements whose text matches one of these"),
	OPT_FLAG(0, "read-only", &read_only, "keep only statements that, as far as their text tells, change nothing"),
	OPT_DURATION(0, "session-idle", &session_idle_ns, "DURATION",
		     "take a session that is silent for longer as ended, where the log shows no end",
		     .standard_note = "never"),
	OPT_STRING(0, "source-host", &source_host, "HOST[:PORT]",
		   "the server that the logs came from; a replay refuses it as a target"),
	OPT_STRING(
		0, "log-timezone", &log_timezone, "ZONE",
		"full name of the logs' time zone, needed where their stamps say anything but UTC, GMT or an offset"),
	OPT_END,
};

static void show_progress(void *context, int64_t done_bytes, int64_t total_bytes)
{
	(void)context;
	output_progress(done_bytes, total_bytes);
}

static void print_counts(const struct create_replay_result *result)
{
	char first[RFC3339_MAX];
	clock_format_rfc3339(result->first_ns, first);
	output_text("%s: %llu statements in %llu sessions, %.1f s from %s on\n", output_path,
		    (unsigned long long)result->statements, (unsigned long long)result->sessions,
		    ns_to_s(result->last_ns - result->first_ns), first);
	output_text("  from %llu log records; items:", (unsigned long long)result->log_records);
	for (enum item_kind kind = ITEM_CONNECT; kind < ITEM_KIND_COUNT; kind++)
		output_text(" %s %llu", item_kind_name(kind), (unsigned long long)result->items[kind]);
	output_text(" (%llu inferred)\n  in no item:",
		    (unsigned long long)(result->inferred[ITEM_CONNECT] + result->inferred[ITEM_CANCEL] +
					 result->inferred[ITEM_DISCONNECT]));
	bool any = false;
	for (enum skip_reason reason = SKIP_COPY; reason < SKIP_REASON_COUNT; reason++) {
		if (result->skipped[reason] == 0)
			continue;
		output_text(" %s %llu", skip_reason_name(reason), (unsigned long long)result->skipped[reason]);
		any = true;
	}
	output_text("%s\n", any ? "" : " none");
}

static struct filter_words words(const struct option_list *list)
{
	return (struct filter_words){list->items, list->count};
}

static int run(const struct command_call *call, struct error *err)
{
	struct create_replay_options create = {
		.logs = (const char *const *)call->arguments,
		.log_count = call->argument_count,
		.output = output_path,
		.format = (enum log_format_kind)format,
		.log_line_prefix = log_line_prefix,
		.filter =
			{
				.from = from,
				.to = to,
				.database = words(&database),
				.user = words(&user),
				.application = words(&application),
				.exclude_database = words(&exclude_database),
				.exclude_user = words(&exclude_user),
				.exclude_application = words(&exclude_application),
				.include = words(&include),
				.exclude = words(&exclude),
				.read_only = read_only,
			},
		.session_idle_ns = session_idle_ns,
		.source_host = source_host,
		.log_timezone = log_timezone,
		.progress = show_progress,
	};
	struct create_replay_result result;
	output_progress_begin("reading logs", "MB", 1e6);
	int rc = create_replay(&create, &result, interrupt_flag(), err);
	output_progress_end();
	if (rc < 0)
		return rc;
	print_counts(&result);
	json_t *document = create_replay_result_json(&result, source_host);
	output_json(document);
	json_decref(document);
	return 0;
}

const struct command cmd_create_replay = {
	.name = "create-replay",
	.summary = "reads query logs into a replay file",
	.arguments = "LOG…",
	.arguments_min = 1,
	.arguments_max = SIZE_MAX,
	.options = options,
	.run = run,
	.docs = "Reads PostgreSQL logs (csvlog, jsonlog, or stderr with any log_line_prefix), plain or gzip, in any "
		"order, of "
		"a server that logs with log_statement=all or with log_min_duration_statement=0, and writes what its "
		"clients did as a replay file: connects, statements with their parameters, cancels and disconnects, "
		"each with its time. A folder stands for the files in it, - for standard input; files may overlap. Set "
		"log_connections, log_disconnections and log_parameter_max_length=-1 beside it; what the log does not "
		"show of connecting and disconnecting is inferred.\n\n"
		"Every record of the logs is counted once, in an item or under the reason why it is in none: copy "
		"(COPY FROM STDIN and TO STDOUT, whose data is not in the log), fastpath, truncated (parameters that a "
		"limit "
		"has cut), unparsed, filtered, and more.\n\n"
		"The replay file holds the statements' values and is readable by its owner alone.",
	.examples = "rehearse create-replay postgresql.csv -o day.rpl\n"
		    "rehearse create-replay postgresql.log --log-line-prefix '%t [%p] %u@%d ' -o day.rpl\n"
		    "rehearse create-replay downloads/ --database shop --from 2026-11-21T20:00:00Z -o day.rpl\n"
		    "rehearse create-replay logs/*.csv.gz --exclude '^VACUUM' --source-host db.example.com -o day.rpl",
};
