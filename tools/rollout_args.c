/* Options about the roll-out: see rollout_args.h. */
#include "rollout_args.h"

static int load_calendar(const struct config *config, struct blackout_calendar *calendar, struct error *err)
{
	const struct config_entry *entry = NULL;
	while (config && (entry = config_next(config, "blackout", entry))) {
		int rc = blackout_calendar_set(calendar, entry->name, entry->value, err);
		if (rc < 0)
			return error_context(err, "%s:%d: [blackout]", config->path, entry->line);
	}
	return 0;
}

int rollout_args_load(const struct rollout_args *args, const struct config *config, struct rollout *rollout,
		      struct error *err)
{
	rollout_init(rollout);
	rollout->deploy_timeout_ns = args->deploy_timeout_ns;
	int rc = load_calendar(config, &rollout->calendar, err);
	for (size_t i = 0; rc == 0 && i < args->row_ratios.count; i++) {
		rc = row_ratios_add(&rollout->ratios, args->row_ratios.items[i], err);
		if (rc < 0)
			rc = error_context(err, "--row-ratio");
	}
	if (rc < 0 || !args->planned_at)
		return rc;
	rc = blackout_calendar_parse_time(&rollout->calendar, args->planned_at, &rollout->planned_ns, err);
	rollout->planned = rc == 0;
	return rc < 0 ? error_context(err, "--planned-at") : 0;
}
