/*
 * What each statement's executions waited for: see query_waits.h. Looks come in order of time, executions in order of
 * due time. A look is joined as soon as an execution comes that was due after it: by then every execution that could
 * have been under way has come, since none is sent before it is due. Until then executions wait in a list of their
 * session, from which those are dropped that had ended before the look that is next.
 */
#include "query_waits.h"

#include "clock.h"
#include "json_file.h"
#include "mem.h"

#include <math.h>
#include <stdlib.h>

#define EVENTS_SHOWN 5
#define NONE	     UINT32_MAX
#define KEPT_MAX     ((size_t)2 << 20) /* executions kept for a lane: 64 MB */

struct execution {
	int64_t sent_ns;
	int64_t done_ns;
	uint32_t fingerprint;
	uint32_t next; /* of its session, or of the free ones */
	enum window_kind window;
	bool seen; /* in some look */
};

struct event_count {
	uint32_t event;
	uint64_t n;
};

/* One statement on one lane in one window. */
struct cell {
	uint64_t n;
	uint64_t executions; /* how many of them were seen */
	struct event_count *events;
	size_t count;
	size_t capacity;
};

struct query {
	struct cell of[JUDGE_LANES][WINDOW_COUNT];
};

struct session_list {
	uint32_t head;
	uint32_t tail;
};

struct lane_join {
	struct health_log *log; /* NULL: not known, for that reason */
	const char *reason;
	const struct run_session *sessions;
	size_t session_count;
	uint32_t *event_of; /* by the log's events */
	struct health_look look;
	bool has_look; /* the one that is next; else there is no more */
	struct session_list *lists;
	struct execution *kept;
	size_t kept_count;
	size_t kept_capacity;
	uint32_t spare; /* the first of those that are free */
	uint64_t looks;
	uint64_t samples;
	uint64_t joined;
	uint64_t no_statement; /* nothing was under way that has a text: a connect, say */
	uint64_t ambiguous;
	uint64_t other_backends; /* the migration's, and whoever else was there */
	uint64_t not_kept;	 /* executions beyond KEPT_MAX */
	int64_t first_ns;
	int64_t last_ns;
};

struct query_waits {
	struct lane_join lanes[JUDGE_LANES];
	const char **events; /* the logs' */
	size_t event_count;
	size_t event_capacity;
	struct query **queries; /* by fingerprint; NULL: never seen */
	uint32_t fingerprints;
	uint32_t sessions;
};

static uint32_t find_event(struct query_waits *waits, const char *name)
{
	for (size_t i = 0; i < waits->event_count; i++) {
		if (strcmp(waits->events[i], name) == 0)
			return (uint32_t)i;
	}
	MEM_GROW(waits->events, waits->event_count, waits->event_capacity);
	waits->events[waits->event_count] = name;
	return (uint32_t)waits->event_count++;
}

static void forget_lane(struct query_waits *waits, enum judge_lane lane, const char *reason)
{
	waits->lanes[lane].log = NULL;
	waits->lanes[lane].has_look = false;
	waits->lanes[lane].reason = reason;
}

static void next_look(struct query_waits *waits, enum judge_lane lane)
{
	struct lane_join *join = &waits->lanes[lane];
	struct error err = ERROR_INIT;
	int rc = health_log_next_look(join->log, &join->look, &err);
	join->has_look = rc > 0;
	if (rc < 0) /* what is damaged in the middle is not trusted in part */
		forget_lane(waits, lane, "its looks at the sessions cannot be read");
	if (rc <= 0)
		return;
	if (join->looks++ == 0)
		join->first_ns = join->look.asked_ns;
	join->last_ns = join->look.asked_ns;
}

/* Why a log has no look: what the sampler noted. */
static const char *why_no_look(const struct health_log *log)
{
	if (!log->has_looks)
		return "the run is from before sessions were looked at";
	for (size_t i = 0; i < log->note_count; i++) {
		if (strcmp(log->notes[i].group, "sessions") == 0 || strcmp(log->notes[i].group, "connection") == 0)
			return log->notes[i].reason;
	}
	return "the sessions were never looked at";
}

static void start_lane(struct query_waits *waits, const struct run_data *data, enum judge_lane lane,
		       const struct query_waits_lane *given)
{
	struct lane_join *join = &waits->lanes[lane];
	join->log = given->log;
	join->reason = given->reason;
	join->spare = NONE;
	if (!join->log)
		return;
	if (join->log->looks == 0) {
		forget_lane(waits, lane, why_no_look(join->log));
		return;
	}
	join->sessions = data->sessions[lane];
	join->session_count = data->session_count[lane];
	join->event_of = mem_zalloc(join->log->event_count + 1, sizeof(*join->event_of));
	for (size_t i = 0; i < join->log->event_count; i++)
		join->event_of[i] = find_event(waits, join->log->events[i].name);
	join->lists = mem_zalloc((size_t)waits->sessions + 1, sizeof(*join->lists));
	for (uint32_t s = 0; s < waits->sessions; s++)
		join->lists[s] = (struct session_list){NONE, NONE};
	health_log_rewind(join->log);
	next_look(waits, lane);
}

struct query_waits *query_waits_new(const struct run_data *data, const struct query_waits_lane lanes[JUDGE_LANES])
{
	struct query_waits *waits = mem_zalloc(1, sizeof(*waits));
	waits->fingerprints = item_index_fingerprint_count(data->items);
	waits->sessions = item_index_session_count(data->items);
	waits->queries = mem_zalloc((size_t)waits->fingerprints + 1, sizeof(*waits->queries));
	for (int lane = 0; lane < JUDGE_LANES; lane++)
		start_lane(waits, data, lane, &lanes[lane]);
	return waits;
}

static void query_free(struct query *query)
{
	for (int lane = 0; query && lane < JUDGE_LANES; lane++) {
		for (int w = 0; w < WINDOW_COUNT; w++)
			free(query->of[lane][w].events);
	}
	free(query);
}

void query_waits_free(struct query_waits *waits)
{
	if (!waits)
		return;
	for (uint32_t f = 0; f < waits->fingerprints; f++)
		query_free(waits->queries[f]);
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		free(waits->lanes[lane].event_of);
		free(waits->lanes[lane].lists);
		free(waits->lanes[lane].kept);
	}
	free(waits->queries);
	free(waits->events);
	free(waits);
}

static void count_event(struct query_waits *waits, enum judge_lane lane, struct execution *e, uint32_t event)
{
	if (!waits->queries[e->fingerprint])
		waits->queries[e->fingerprint] = mem_zalloc(1, sizeof(struct query));
	struct cell *cell = &waits->queries[e->fingerprint]->of[lane][e->window];
	size_t i = 0;
	cell->n++;
	cell->executions += !e->seen;
	e->seen = true;
	while (i < cell->count && cell->events[i].event != event)
		i++;
	if (i == cell->count) {
		MEM_GROW(cell->events, cell->count, cell->capacity);
		cell->events[cell->count++] = (struct event_count){event, 0};
	}
	cell->events[i].n++;
}

static uint32_t find_session(const struct query_waits *waits, const struct lane_join *join, int32_t pid)
{
	uint32_t session = run_data_find_session(join->sessions, join->session_count, pid, join->look.asked_ns);
	if (session == RUN_DATA_NO_SESSION) /* it came in between */
		session = run_data_find_session(join->sessions, join->session_count, pid, join->look.answered_ns);
	return session < waits->sessions ? session : RUN_DATA_NO_SESSION;
}

static void join_active(struct query_waits *waits, enum judge_lane lane, const struct health_active *active)
{
	struct lane_join *join = &waits->lanes[lane];
	struct execution *found = NULL;
	uint32_t session = find_session(waits, join, active->pid);
	join->samples++;
	if (session == RUN_DATA_NO_SESSION) {
		join->other_backends++;
		return;
	}
	for (uint32_t i = join->lists[session].head; i != NONE; i = join->kept[i].next) {
		struct execution *e = &join->kept[i];
		if (e->sent_ns > join->look.answered_ns)
			break; /* it, and those behind it, are still queued */
		if (e->done_ns < join->look.asked_ns)
			continue;
		if (found && (found->fingerprint != e->fingerprint || found->window != e->window)) {
			join->ambiguous++;
			return;
		}
		if (!found)
			found = e;
	}
	if (!found || found->fingerprint >= waits->fingerprints) {
		join->no_statement++;
		return;
	}
	join->joined++;
	count_event(waits, lane, found, join->event_of[active->event]);
}

static void join_look(struct query_waits *waits, enum judge_lane lane)
{
	const struct health_look *look = &waits->lanes[lane].look;
	for (size_t i = 0; i < look->count; i++)
		join_active(waits, lane, &look->active[i]);
	next_look(waits, lane);
}

static void drop_ended(struct lane_join *join, struct session_list *list)
{
	while (list->head != NONE && join->kept[list->head].done_ns < join->look.asked_ns) {
		uint32_t ended = list->head;
		list->head = join->kept[ended].next;
		join->kept[ended].next = join->spare;
		join->spare = ended;
	}
	if (list->head == NONE)
		list->tail = NONE;
}

static void keep_execution(struct lane_join *join, const struct pair *pair, enum judge_lane lane,
			   enum window_kind window)
{
	struct session_list *list = &join->lists[pair->item->session];
	uint32_t row = NONE;
	drop_ended(join, list);
	if (pair_done_ns(pair, lane) < join->look.asked_ns)
		return;
	if (join->spare != NONE) {
		row = join->spare;
		join->spare = join->kept[row].next;
	} else if (join->kept_count < KEPT_MAX) {
		MEM_GROW(join->kept, join->kept_count, join->kept_capacity);
		row = (uint32_t)join->kept_count++;
	} else {
		join->not_kept++;
		return;
	}
	join->kept[row] = (struct execution){.sent_ns = pair_sent_ns(pair, lane),
					     .done_ns = pair_done_ns(pair, lane),
					     .fingerprint = pair->item->fingerprint,
					     .next = NONE,
					     .window = window};
	if (list->tail == NONE)
		list->head = row;
	else
		join->kept[list->tail].next = row;
	list->tail = row;
}

void query_waits_add(struct query_waits *waits, const struct pair *pair, enum window_kind window)
{
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		struct lane_join *join = &waits->lanes[lane];
		while (join->has_look && join->look.answered_ns < pair->item->due_ns)
			join_look(waits, lane);
		if (join->has_look && pair_was_sent(pair, lane) && pair->item->session < waits->sessions)
			keep_execution(join, pair, lane, window);
	}
}

static int compare_events(const void *a, const void *b)
{
	const struct event_count *x = a;
	const struct event_count *y = b;
	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return (x->event > y->event) - (x->event < y->event);
}

void query_waits_finish(struct query_waits *waits)
{
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		while (waits->lanes[lane].has_look)
			join_look(waits, lane);
	}
	for (uint32_t f = 0; f < waits->fingerprints; f++) {
		for (int i = 0; waits->queries[f] && i < JUDGE_LANES * WINDOW_COUNT; i++) {
			struct cell *cell = &waits->queries[f]->of[i / WINDOW_COUNT][i % WINDOW_COUNT];
			if (cell->count > 1)
				qsort(cell->events, cell->count, sizeof(*cell->events), compare_events);
		}
	}
}

static json_t *cell_json(const struct query_waits *waits, const struct cell *cell)
{
	json_t *object = json_object();
	json_t *events = json_array();
	for (size_t i = 0; i < cell->count && i < EVENTS_SHOWN; i++) {
		double share = (double)cell->events[i].n / (double)cell->n;
		json_t *event = json_object();
		json_put(event, "event", json_text(waits->events[cell->events[i].event]));
		json_put(event, "samples", json_integer((json_int_t)cell->events[i].n));
		json_put(event, "share",
			 cell->n >= QUERY_WAITS_MIN ? json_real(round(share * 1000) / 1000) : json_null());
		(void)json_array_append_new(events, event);
	}
	json_put(object, "samples", json_integer((json_int_t)cell->n));
	json_put(object, "executions", json_integer((json_int_t)cell->executions));
	json_put(object, "events", events);
	return object;
}

json_t *query_waits_of(const struct query_waits *waits, uint32_t fingerprint)
{
	const struct query *query = fingerprint < waits->fingerprints ? waits->queries[fingerprint] : NULL;
	json_t *object = json_object();
	uint64_t samples = 0;
	for (int lane = 0; query && lane < JUDGE_LANES; lane++) {
		json_t *windows = waits->lanes[lane].log ? json_object() : json_null();
		for (int w = WINDOW_BEFORE; w < WINDOW_COUNT && waits->lanes[lane].log; w++) {
			json_put(windows, window_kind_name(w), cell_json(waits, &query->of[lane][w]));
			samples += query->of[lane][w].n;
		}
		json_put(object, judge_lane_name(lane), windows);
	}
	if (samples > 0)
		return object;
	json_decref(object);
	return json_null();
}

static json_t *lane_json(const struct lane_join *join)
{
	json_t *object = json_object();
	double span_s = ns_to_s(join->last_ns - join->first_ns);
	json_put(object, "known", json_boolean(join->log != NULL));
	json_put(object, "reason", join->log ? json_null() : json_text(join->reason ? join->reason : ""));
	if (!join->log)
		return object;
	json_put(object, "looks", json_integer((json_int_t)join->looks));
	json_put(object, "looks_per_s",
		 span_s > 0 ? json_real(round((double)(join->looks - 1) / span_s * 100) / 100) : json_null());
	json_put(object, "samples", json_integer((json_int_t)join->samples));
	json_put(object, "joined", json_integer((json_int_t)join->joined));
	json_put(object, "no_statement", json_integer((json_int_t)join->no_statement));
	json_put(object, "ambiguous", json_integer((json_int_t)join->ambiguous));
	json_put(object, "other_backends", json_integer((json_int_t)join->other_backends));
	json_put(object, "lost", json_integer((json_int_t)join->log->active_lost));
	json_put(object, "executions_not_kept", json_integer((json_int_t)join->not_kept));
	return object;
}

json_t *query_waits_to_json(const struct query_waits *waits)
{
	json_t *object = json_object();
	json_t *lanes = json_object();
	for (int lane = 0; lane < JUDGE_LANES; lane++)
		json_put(lanes, judge_lane_name(lane), lane_json(&waits->lanes[lane]));
	json_put(object, "samples_min", json_integer(QUERY_WAITS_MIN));
	json_put(object, "lanes", lanes);
	return object;
}
