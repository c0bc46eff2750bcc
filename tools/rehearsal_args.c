/* Options and display that run-replay and test-migration share: see rehearsal_args.h. */
#include "rehearsal_args.h"

#include "clock.h"
#include "interrupt.h"
#include "mem.h"
#include "metrics.h"
#include "num.h"
#include "output.h"

#define COMMIT_ID_MAX 100

static int read_speed(const char *text, double *out, struct error *err)
{
	*out = 0;
	if (strcmp(text, "max") == 0)
		return 0;
	int rc = num_parse_double(text, 0.01, 1000, out, err);
	return rc < 0 ? error_context(err, "--speed") : 0;
}

/* The maps' pairs: like the options that they come from, they live as long as the process. */
static const char **user_pairs, **database_pairs;

/* "from=to" entries as pairs, which *kept holds. */
static int read_map(const char *option, const struct option_list *list, const char ***kept, struct lane_name_map *map,
		    struct error *err)
{
	if (list->count == 0)
		return 0;
	const char **pairs = mem_zalloc(2 * list->count, sizeof(*pairs));
	*kept = pairs;
	for (size_t i = 0; i < list->count; i++) {
		const char *equals = strchr(list->items[i], '=');
		if (!equals || equals == list->items[i] || !equals[1])
			return error_set(err, ERR_USAGE, "--%s: '%s' is not FROM=TO", option, list->items[i]);
		pairs[2 * i] = mem_strndup(list->items[i], (size_t)(equals - list->items[i]));
		pairs[2 * i + 1] = equals + 1;
	}
	map->pairs = pairs;
	map->count = list->count;
	return 0;
}

/* What CI systems (GitHub, GitLab, Jenkins) call the commit that they build. NULL when there is none. */
static const char *commit_of_environment(void)
{
	static const char *const names[] = {"GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *value = getenv(names[i]);
		if (value && *value && strlen(value) <= COMMIT_ID_MAX)
			return value;
	}
	return NULL;
}

int rehearsal_args_apply(const struct rehearsal_args *args, struct rehearsal_options *options, struct error *err)
{
	options->run_dir = args->run_dir;
	options->replace = args->replace;
	options->skip_idle_ns = args->skip_idle_ns;
	options->max_sessions = (uint32_t)args->max_sessions;
	options->workers = (uint32_t)args->workers;
	options->check_results = args->check_results;
	options->commit = args->commit ? args->commit : commit_of_environment();
	if (options->commit && strlen(options->commit) > COMMIT_ID_MAX)
		return error_set(err, ERR_USAGE, "--commit: longer than %d characters", COMMIT_ID_MAX);
	options->amplify = (struct amplify_options){.times = (uint32_t)args->amplify,
						    .jitter_ns = args->amplify_jitter_ns,
						    .seed = (uint64_t)args->seed,
						    .writes = args->amplify_writes};
	options->start_at_ns = args->start_at_ns;
	options->stop_at_ns = args->stop_at_ns;
	options->drain_timeout_ns = args->drain_timeout_ns;
	options->stall_timeout_ns = args->stall_timeout_ns;
	options->migration_timeout_ns = args->migration_timeout_ns;
	options->sample_interval_ns = args->sample_interval_ns;
	options->cancelled = interrupt_flag();
	options->progress = rehearsal_show_progress;
	options->migrate_at_ns = -1;
	int rc = read_speed(args->speed, &options->speed, err);
	if (rc == 0 && args->migrate_at && num_parse_duration(args->migrate_at, &options->migrate_at_ns, err) < 0)
		rc = error_context(err, "--migrate-at");
	if (rc == 0)
		rc = read_map("user-map", &args->user_map, &user_pairs, &options->user_map, err);
	if (rc == 0)
		rc = read_map("database-map", &args->database_map, &database_pairs, &options->database_map, err);
	if (rc == 0 && args->metrics_listen)
		rc = metrics_listen(args->metrics_listen, err);
	return rc;
}

/* What the live view remembers between two looks: a rate needs two. */
static struct {
	int64_t at_ns;
	uint64_t statements[2];
	double rate[2];
} view;

static void update_rates(const struct rehearsal_progress *p)
{
	double seconds = ns_to_s(p->now_ns - view.at_ns);
	if (p->now_ns >= view.at_ns && seconds < 1)
		return;
	for (int i = 0; i < p->lane_count; i++) {
		uint64_t done = p->lanes[i].statements_done;
		bool same_run = seconds > 0 && done >= view.statements[i];
		view.rate[i] = same_run ? (double)(done - view.statements[i]) / seconds : 0;
		view.statements[i] = done;
	}
	view.at_ns = p->now_ns;
}

/* Both lanes side by side: statements a second, the last second's p99 and lag, errors, and who waits for a lock. */
static void format_view(const struct rehearsal_progress *p, struct strbuf *out)
{
	static const char *const names[2] = {"baseline", "migrating"};
	for (int i = 0; i < p->lane_count; i++) {
		const struct lane_progress *lane = &p->lanes[i];
		strbuf_addf(out, "%s%-9s %7.0f stmt/s  p99 %8.1f ms  lag %6.2f ms  %llu errors  %u waiting",
			    i ? "\n" : "", names[i], view.rate[i], ns_to_ms(lane->latency_p99_ns),
			    ns_to_ms(lane->lag_p99_ns), (unsigned long long)lane->errors, p->waiting[i]);
	}
	if (p->migration_running)
		strbuf_addf(out, "\nmigration: statement %u is running", p->migration_statement);
}

void rehearsal_show_progress(void *context, const struct rehearsal_progress *progress)
{
	(void)context;
	uint64_t done = UINT64_MAX;
	struct strbuf text;
	strbuf_init(&text, 1000);
	for (int i = 0; i < progress->lane_count; i++)
		done = progress->lanes[i].items_done < done ? progress->lanes[i].items_done : done;
	update_rates(progress);
	format_view(progress, &text);
	output_progress_detail(text.data);
	output_progress((int64_t)done, (int64_t)progress->item_count);
	metrics_update(progress);
	strbuf_release(&text);
}

static double number_at(const json_t *lane, const char *object, const char *name)
{
	return json_number_value(json_object_get(json_object_get(lane, object), name));
}

static long long integer_at(const json_t *lane, const char *name)
{
	return (long long)json_integer_value(json_object_get(lane, name));
}

void rehearsal_print_lanes(const json_t *run)
{
	const char *name;
	json_t *lane;
	output_text("%-10s %10s %10s %8s %8s %10s %12s %12s\n", "lane", "sent", "ok", "errors", "skipped", "stmt/s",
		    "lag p99 ms", "lat. p99 ms");
	json_object_foreach (json_object_get(run, "lanes"), name, lane) {
		output_text("%-10s %10lld %10lld %8lld %8lld %10.1f %12.3f %12.3f\n", name,
			    integer_at(lane, "items_sent"), integer_at(lane, "items_ok"),
			    integer_at(lane, "items_error"), integer_at(lane, "items_skipped"),
			    json_number_value(json_object_get(lane, "statements_per_s")),
			    number_at(lane, "lag_ms", "p99"), number_at(lane, "latency_ms", "p99"));
		const char *lost = json_string_value(json_object_get(lane, "lost_reason"));
		if (lost && *lost)
			output_text("%-10s first lost connection: %s\n", "", lost);
	}
}
