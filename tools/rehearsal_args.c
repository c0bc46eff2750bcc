/* Options and display that run-replay and test-migration share: see rehearsal_args.h. */
#include "rehearsal_args.h"

#include "clock.h"
#include "num.h"
#include "output.h"

int rehearsal_args_load(const struct rehearsal_args *args, struct migration *migration, struct error *err)
{
	migration_init(migration);
	for (size_t i = 0; i < args->migration_files.count; i++) {
		int rc = migration_add_file(migration, args->migration_files.items[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int rehearsal_args_speed(const struct rehearsal_args *args, double *out, struct error *err)
{
	*out = 0;
	if (strcmp(args->speed, "max") == 0)
		return 0;
	int rc = num_parse_double(args->speed, 0.01, 1000, out, err);
	return rc < 0 ? error_context(err, "--speed") : 0;
}

int rehearsal_args_migrate_at(const struct rehearsal_args *args, int64_t *out_ns, struct error *err)
{
	*out_ns = -1;
	if (!args->migrate_at)
		return 0;
	int rc = num_parse_duration(args->migrate_at, out_ns, err);
	return rc < 0 ? error_context(err, "--migrate-at") : 0;
}

void rehearsal_show_progress(void *context, const struct rehearsal_progress *progress)
{
	(void)context;
	uint64_t done = UINT64_MAX;
	for (int i = 0; i < progress->lane_count; i++)
		done = progress->lanes[i].items_done < done ? progress->lanes[i].items_done : done;
	output_progress((int64_t)done, (int64_t)progress->item_count);
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
