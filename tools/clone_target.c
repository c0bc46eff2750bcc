/* A command's target is a clone: see clone_target.h. */
#include "clone_target.h"

#include "mem.h"
#include "pg_target.h"

int clone_target_check(const char *url, bool known_clone, char **version, struct error *err)
{
	const struct pg_target_guard guard = {.known_clone = known_clone};
	struct pg_target target = {0};
	*version = NULL;
	int rc = pg_target_probe(url, &target, err);
	if (rc == 0)
		rc = pg_target_guard(&target, &guard, err);
	if (rc == 0)
		*version = mem_strdup(target.server_version);
	pg_target_release(&target);
	return rc < 0 ? error_context(err, "target") : 0;
}
