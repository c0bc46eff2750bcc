/* Who is hurt, by application and user: see client_tally.h. */
#include "client_tally.h"

#include "json_file.h"
#include "mem.h"

#include <math.h>
#include <uthash.h>

struct group {
	char *key; /* application, a line end, user: neither name holds one */
	uint32_t index;
	UT_hash_handle hh;
};

struct client_tally {
	struct client_figures *figures;
	size_t count;
	size_t capacity;
	uint32_t *of_session; /* index of its figures */
	uint32_t session_count;
	int64_t since_ns;
};

static uint32_t find_or_add(struct client_tally *tally, struct group **groups, const struct item_session *session)
{
	const char *application = session->application ? session->application : "";
	const char *user = session->user ? session->user : "";
	char *key = mem_printf("%s\n%s", application, user);
	struct group *group;
	HASH_FIND_STR(*groups, key, group);
	if (group) {
		free(key);
		return group->index;
	}
	MEM_GROW(tally->figures, tally->count, tally->capacity);
	tally->figures[tally->count] = (struct client_figures){.application = application, .user = user};
	group = mem_zalloc(1, sizeof(*group));
	group->key = key;
	group->index = (uint32_t)tally->count++;
	HASH_ADD_KEYPTR(hh, *groups, group->key, strlen(group->key), group);
	return group->index;
}

struct client_tally *client_tally_new(const struct run_data *data)
{
	struct group *groups = NULL;
	struct group *group;
	struct group *next;
	struct client_tally *tally = mem_zalloc(1, sizeof(*tally));
	tally->session_count = item_index_session_count(data->items);
	tally->of_session = mem_zalloc((size_t)tally->session_count + 1, sizeof(*tally->of_session));
	tally->since_ns = data->has_migration ? data->migration_start_ns : 0;
	for (uint32_t s = 0; s < tally->session_count; s++) {
		tally->of_session[s] = find_or_add(tally, &groups, item_index_session(data->items, s));
		tally->figures[tally->of_session[s]].sessions++;
	}
	HASH_ITER (hh, groups, group, next) {
		HASH_DEL(groups, group);
		free(group->key);
		free(group);
	}
	return tally;
}

void client_tally_free(struct client_tally *tally)
{
	if (!tally)
		return;
	free(tally->figures);
	free(tally->of_session);
	free(tally);
}

void client_tally_add(struct client_tally *tally, const struct pair *pair, int64_t blocked_ns)
{
	if (pair->item->session >= tally->session_count || !pair_was_sent(pair, JUDGE_BASELINE) ||
	    !pair_was_sent(pair, JUDGE_MIGRATING) || pair_done_ns(pair, JUDGE_MIGRATING) < tally->since_ns)
		return;
	struct client_figures *f = &tally->figures[tally->of_session[pair->item->session]];
	enum run_outcome baseline = (enum run_outcome)pair->lane[JUDGE_BASELINE]->outcome;
	enum run_outcome migrating = (enum run_outcome)pair->lane[JUDGE_MIGRATING]->outcome;
	f->statements += pair_is_statement(pair);
	f->errors_only_baseline += baseline == RUN_ERROR && migrating == RUN_OK;
	f->errors_only_migrating += baseline == RUN_OK && migrating == RUN_ERROR;
	if (blocked_ns > 0) {
		f->blocked++;
		f->blocked_s += (double)blocked_ns / 1e9;
		if (blocked_ns > f->longest_blocked_ns)
			f->longest_blocked_ns = blocked_ns;
	}
	if (pair_has_latency(pair))
		f->extra_latency_s += (double)(run_record_latency_ns(pair->lane[JUDGE_MIGRATING]) -
					       run_record_latency_ns(pair->lane[JUDGE_BASELINE])) /
				      1e9;
}

static int compare_figures(const void *a, const void *b)
{
	const struct client_figures *x = a;
	const struct client_figures *y = b;
	if (x->blocked_s < y->blocked_s || x->blocked_s > y->blocked_s)
		return x->blocked_s > y->blocked_s ? -1 : 1;
	if (x->errors_only_migrating != y->errors_only_migrating)
		return x->errors_only_migrating > y->errors_only_migrating ? -1 : 1;
	int order = strcmp(x->application, y->application);
	return order ? order : strcmp(x->user, y->user);
}

void client_tally_finish(struct client_tally *tally)
{
	if (tally->count)
		qsort(tally->figures, tally->count, sizeof(*tally->figures), compare_figures);
}

size_t client_tally_count(const struct client_tally *tally)
{
	return tally->count;
}

const struct client_figures *client_tally_get(const struct client_tally *tally, size_t index)
{
	return &tally->figures[index];
}

json_t *client_tally_to_json(const struct client_tally *tally, size_t max)
{
	json_t *list = json_array();
	for (size_t i = 0; i < tally->count && i < max; i++) {
		const struct client_figures *f = &tally->figures[i];
		(void)json_array_append_new(
			list, json_pack("{s:o, s:o, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:f}", "application",
					json_from_bytes(f->application, strlen(f->application)), "user",
					json_from_bytes(f->user, strlen(f->user)), "sessions", (json_int_t)f->sessions,
					"statements", (json_int_t)f->statements, "blocked_statements",
					(json_int_t)f->blocked, "blocked_query_s", round(f->blocked_s * 1e3) / 1e3,
					"longest_blocked_ms", round((double)f->longest_blocked_ns / 1e3) / 1e3,
					"errors_only_baseline", (json_int_t)f->errors_only_baseline,
					"errors_only_migrating", (json_int_t)f->errors_only_migrating,
					"extra_latency_s", round(f->extra_latency_s * 1e3) / 1e3));
	}
	return list;
}
