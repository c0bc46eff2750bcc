/*
 * The seam between runs and clone providers: see clone.h.
 *
 * The order is what keeps the promise that nothing stays: records, then the guardian, then whatever the provider makes;
 * on the way down the provider's servers, what the records name, the records, and the guardian last.
 */
#include "clone.h"

#include "clock.h"
#include "clone_remove.h"
#include "logging.h"
#include "mem.h"
#include "stop_flag.h"

#include <unistd.h>

#define DEFAULT_TTL_NS (INT64_C(24) * 3600 * NS_PER_S)

static int check_name(const char *what, const char *name, struct error *err)
{
	if (clone_name_is_good(name))
		return 0;
	return error_set(err, ERR_USAGE, "%s \"%.60s\": letters, digits, '-' and '_', at most %d", what,
			 name ? name : "", CLONE_NAME_MAX);
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
	if (rc == 0 && request->lane_count == 0)
		rc = error_set(err, ERR_USAGE, "clones need at least one lane");
	if (rc == 0 && provider->can.needs_source && (!request->source || !*request->source))
		rc = error_set(err, ERR_USAGE, "clones need a source");
	if (rc == 0 && request->point_in_time_wall_ns && !provider->can.point_in_time)
		rc = error_set(err, ERR_USAGE, "clones of provider %s cannot be made as of a point in time",
			       provider->name);
	if (rc == 0 && request->cold_cache && !provider->can.cold_cache)
		rc = error_set(err, ERR_USAGE, "caches of clones of provider %s cannot be emptied from here",
			       provider->name);
	return rc;
}

void clone_set_free(struct clone_set *set)
{
	if (!set)
		return;
	if (set->state)
		set->provider->release(set);
	for (size_t i = 0; i < set->count; i++) {
		struct clone *clone = &set->clones[i];
		free(clone->name);
		free(clone->lane);
		free(clone->folder);
		free(clone->log);
		if (clone->url)
			explicit_bzero(clone->url, strlen(clone->url));
		free(clone->url);
		clone_record_release(&set->records[i]);
	}
	free(set->clones);
	free(set->records);
	free(set->state_folder);
	free(set->last_transaction);
	free(set);
}

static struct clone_set *new_set(const struct clone_provider *provider, const struct clone_request *request)
{
	struct clone_set *set = mem_zalloc(1, sizeof(*set));
	char *id = clone_record_new_id();
	set->provider = provider;
	set->count = request->lane_count;
	set->clones = mem_zalloc(set->count, sizeof(*set->clones));
	set->records = mem_zalloc(set->count, sizeof(*set->records));
	set->point_in_time_wall_ns = request->point_in_time_wall_ns;
	for (size_t i = 0; i < set->count; i++) {
		struct clone *clone = &set->clones[i];
		struct clone_record *record = &set->records[i];
		clone->lane = mem_strdup(request->lanes[i]);
		clone->name = mem_printf("%s-%s", request->name, request->lanes[i]);
		clone->size_bytes = -1;
		record->name = mem_strdup(clone->name);
		record->set = mem_strdup(request->name);
		record->lane = mem_strdup(clone->lane);
		record->id = mem_strdup(id);
		record->provider = mem_strdup(provider->name);
		clone_owner_init_self(&record->owner);
		record->uid = record->run_uid = geteuid();
		record->time_to_live_ns = request->time_to_live_ns > 0 ? request->time_to_live_ns : DEFAULT_TTL_NS;
		record->point_in_time_wall_ns = request->point_in_time_wall_ns;
		record->size_bytes = -1;
	}
	free(id);
	return set;
}

static int write_records(struct clone_set *set, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; i < set->count && rc == 0; i++) {
		set->clones[i].created_wall_ns = set->records[i].created_wall_ns = clock_wall_ns();
		if (set->clones[i].folder && !set->records[i].folder)
			set->records[i].folder = mem_strdup(set->clones[i].folder);
		rc = clone_record_create(set->state_folder, &set->records[i], err);
		set->recorded += rc == 0;
	}
	return rc;
}

static int update_records(struct clone_set *set, enum clone_record_state state, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; i < set->count && rc == 0; i++) {
		struct clone_record *record = &set->records[i];
		free(record->url);
		record->url = clone_url_without_password(set->clones[i].url);
		record->size_bytes = set->clones[i].size_bytes;
		record->state = state;
		rc = clone_record_update(set->state_folder, record, err);
	}
	return rc;
}

static int make_set(const struct clone_request *request, struct clone_set *set, struct error *err)
{
	int rc = set->provider->open(request, set, err);
	if (rc == 0)
		rc = clone_state_folder(request->state_dir, &set->state_folder, err);
	if (rc == 0)
		rc = write_records(set, err);
	if (rc == 0)
		rc = clone_guardian_start(&set->guardian, set->state_folder, set->records, set->count, err);
	if (rc == 0)
		rc = set->provider->create(request, set, err);
	if (rc == 0 && stop_flag_is_set(request->cancelled))
		rc = error_set(err, ERR_INTERRUPTED, "making the clones: interrupted");
	if (rc == 0)
		rc = update_records(set, CLONE_UP, err);
	return rc;
}

int clone_set_create(const struct clone_provider *provider, const struct clone_request *request, struct clone_set **out,
		     struct error *err)
{
	int rc = check_request(provider, request, err);
	if (rc)
		return rc;
	struct clone_set *set = new_set(provider, request);
	rc = make_set(request, set, err);
	if (rc) {
		struct error removal = ERROR_INIT;
		if (clone_set_destroy(set, &removal) < 0)
			log_warn("%s; rehearse cleanup tries again", removal.text);
		return rc;
	}
	*out = set;
	return 0;
}

int clone_set_destroy(struct clone_set *set, struct error *err)
{
	int rc = 0;
	if (!set)
		return 0;
	if (set->state)
		set->provider->stop(set);
	for (size_t i = 0; i < set->recorded; i++) {
		struct error later = ERROR_INIT; /* the first error is the one to tell */
		int removed = clone_remove(set->state_folder, &set->records[i], rc ? &later : err);
		rc = rc ? rc : removed;
	}
	clone_guardian_dismiss(&set->guardian);
	clone_set_free(set);
	return rc;
}

int clone_set_keep(struct clone_set *set, struct error *err)
{
	int rc = update_records(set, CLONE_KEPT, err);
	if (rc == 0)
		clone_guardian_dismiss(&set->guardian);
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

json_t *clone_set_describe(const struct clone_set *set)
{
	bool reflinked = false;
	char time[RFC3339_MAX];
	for (size_t i = 0; i < set->count; i++)
		reflinked = reflinked || set->clones[i].reflinked;
	json_t *object = json_pack("{s:s, s:b, s:b}", "provider", set->provider->name, "cold_cache", set->cold,
				   "reflinked", reflinked);
	if (set->point_in_time_wall_ns) {
		clock_format_rfc3339(set->point_in_time_wall_ns, time);
		(void)json_object_set_new(object, "point_in_time", json_string(time));
	}
	if (set->last_transaction)
		(void)json_object_set_new(object, "last_transaction", json_string(set->last_transaction));
	return object;
}
