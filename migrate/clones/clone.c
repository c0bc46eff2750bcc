/* The seam between runs and clone providers: see clone.h. */
#include "clone.h"

#include "mem.h"

#include <ctype.h>

#define NAME_MAX_BYTES 40

static int check_name(const char *what, const char *name, struct error *err)
{
	size_t len = name ? strlen(name) : 0;
	bool good = len > 0 && len <= NAME_MAX_BYTES && isalnum((unsigned char)name[0]);
	for (size_t i = 0; good && i < len; i++)
		good = isalnum((unsigned char)name[i]) || name[i] == '-' || name[i] == '_';
	if (good)
		return 0;
	return error_set(err, ERR_USAGE, "%s \"%.60s\": letters, digits, '-' and '_', at most %d", what,
			 name ? name : "", NAME_MAX_BYTES);
}

static int check_request(const struct clone_provider *provider, const struct clone_request *request, struct error *err)
{
	int rc = check_name("the clones' name", request->name, err);
	for (size_t i = 0; rc == 0 && i < request->lane_count; i++) {
		rc = check_name("lane", request->lanes[i], err);
		for (size_t j = 0; rc == 0 && j < i; j++) {
			if (strcmp(request->lanes[i], request->lanes[j]) == 0)
				rc = error_set(err, ERR_USAGE, "lane %s is asked for twice", request->lanes[i]);
		}
	}
	if (rc == 0 && (request->lane_count == 0 || !request->source || !*request->source))
		rc = error_set(err, ERR_USAGE, "clones need a source and at least one lane");
	if (rc == 0 && request->point_in_time_wall_ns && !provider->can.point_in_time)
		rc = error_set(err, ERR_USAGE, "clones of provider %s cannot be made as of a point in time",
			       provider->name);
	return rc;
}

static void set_free(struct clone_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct clone *clone = &set->clones[i];
		free(clone->name);
		free(clone->lane);
		free(clone->folder);
		free(clone->log);
		free(clone->url);
	}
	free(set->clones);
	free(set);
}

int clone_set_create(const struct clone_provider *provider, const struct clone_request *request, struct clone_set **out,
		     struct error *err)
{
	int rc = check_request(provider, request, err);
	if (rc)
		return rc;
	struct clone_set *set = mem_zalloc(1, sizeof(*set));
	set->provider = provider;
	set->count = request->lane_count;
	set->clones = mem_zalloc(set->count, sizeof(*set->clones));
	for (size_t i = 0; i < set->count; i++) {
		set->clones[i].lane = mem_strdup(request->lanes[i]);
		set->clones[i].name = mem_printf("%s-%s", request->name, request->lanes[i]);
		set->clones[i].size_bytes = -1;
	}
	rc = provider->create(request, set, err);
	if (rc) {
		struct error ignored = ERROR_INIT;
		(void)provider->destroy(set, &ignored);
		set_free(set);
		return rc;
	}
	*out = set;
	return 0;
}

int clone_set_destroy(struct clone_set *set, struct error *err)
{
	if (!set)
		return 0;
	int rc = set->provider->destroy(set, err);
	set_free(set);
	return rc;
}

const struct clone *clone_set_find(const struct clone_set *set, const char *lane)
{
	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(set->clones[i].lane, lane) == 0)
			return &set->clones[i];
	}
	return NULL;
}
