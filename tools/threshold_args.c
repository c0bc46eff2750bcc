/* Options about thresholds: see threshold_args.h. */
#include "threshold_args.h"

int threshold_args_load(const struct threshold_args *args, const struct config *config, struct thresholds *thresholds,
			struct error *err)
{
	thresholds_init(thresholds);
	int rc = thresholds_apply_preset(thresholds, args->preset, err);
	const struct config_entry *entry = NULL;
	while (rc == 0 && (entry = config_next(config, "thresholds", entry))) {
		rc = thresholds_set(thresholds, entry->name, entry->value, err);
		if (rc < 0)
			rc = error_context(err, "%s:%d", config->path, entry->line);
	}
	return rc;
}
