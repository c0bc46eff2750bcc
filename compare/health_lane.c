/* One lane's health log boiled down: see health_lane.h. */
#include "health_lane.h"

#include "clock.h"
#include "health_series.h"
#include "mem.h"

#include <math.h>

static const struct health_figure figures[] = {
	{"active_sessions", "Active sessions", "sessions", "sessions.active", 1, false},
	{"waiting_sessions", "Sessions waiting inside the server", "sessions", "sessions.waiting", 1, false},
	{"idle_in_transaction", "Sessions idle in a transaction", "sessions", "sessions.idle_in_transaction", 1, false},
	{"oldest_transaction_s", "Oldest open transaction", "s", "xact.age_ns", 1e-9, false},
	{"oldest_xmin_xids", "Oldest xmin: transactions that vacuum must spare", "transactions", "xmin.age_xids", 1,
	 false},
	{"commits_per_s", "Commits", "1/s", "db.commits", 1, false},
	{"rollbacks_per_s", "Rollbacks", "1/s", "db.rollbacks", 1, false},
	{"deadlocks_per_s", "Deadlocks", "1/s", "db.deadlocks", 1, false},
	{"wal_bytes_per_s", "WAL written", "bytes/s", "wal.bytes", 1, false},
	{"slot_retained_bytes", "WAL that a replication slot holds back", "bytes", "slots.retained_bytes", 1, false},
	{"standby_lag_bytes", "Lag of the slowest standby", "bytes", "standbys.lag_bytes", 1, false},
	{"standby_lag_s", "Lag of the slowest standby, in time", "s", "standbys.lag_ns", 1e-9, false},
	{"database_size_bytes", "Size of the database", "bytes", "db.size_bytes", 1, false},
	{"dead_tuples", "Dead rows", "rows", "tables.dead", 1, false},
	{"blocks_read_per_s", "Blocks read into the buffers", "blocks/s", "db.blocks_read", 1, false},
	{"temp_bytes_per_s", "Temporary files", "bytes/s", "db.temp_bytes", 1, false},
	{"checkpoint_blocks_per_s", "Blocks written by checkpoints", "blocks/s", "checkpoints.buffers", 1, false},
	{"autovacuum_workers", "Autovacuum workers", "processes", "vacuum.workers", 1, false},
	{"conflicts_per_s", "Conflicts with recovery", "1/s", "db.conflicts", 1, false},
	{"server_cpu_cores", "CPU of the server's processes", "cores", "server.cpu_ns", 1e-9, false},
	{"server_memory_bytes", "Memory of the server's processes", "bytes", "server.memory_bytes", 1, false},
	{"server_read_bytes_per_s", "Read from disk by the server", "bytes/s", "server.read_bytes", 1, false},
	{"server_write_bytes_per_s", "Written to disk by the server", "bytes/s", "server.write_bytes", 1, false},
	{"machine_cpu_cores", "CPU in use on this machine", "cores", "host.cpu_busy_ns", 1e-9, true},
	{"machine_cpu_steal_cores", "CPU taken by other virtual machines", "cores", "host.cpu_steal_ns", 1e-9, true},
	{"machine_memory_available_bytes", "Memory left on this machine", "bytes", "host.memory_available_bytes", 1,
	 true},
	{"machine_cpu_pressure", "Share of time in which something waited for a CPU", "share", "host.cpu_stall_us",
	 1e-6, true},
	{"machine_io_pressure", "Share of time in which something waited for a disk", "share", "host.io_stall_us", 1e-6,
	 true},
	{"machine_memory_pressure", "Share of time in which something waited for memory", "share",
	 "host.memory_stall_us", 1e-6, true},
};
#define FIGURE_COUNT (sizeof(figures) / sizeof(figures[0]))
_Static_assert(FIGURE_COUNT <= HEALTH_FIGURES_MAX, "HEALTH_FIGURES_MAX is too small");

size_t health_figure_count(void)
{
	return FIGURE_COUNT;
}

const struct health_figure *health_figure_at(size_t index)
{
	return &figures[index];
}

size_t health_figure_find(const char *name)
{
	for (size_t i = 0; i < FIGURE_COUNT; i++) {
		if (strcmp(figures[i].name, name) == 0)
			return i;
	}
	return SIZE_MAX;
}

/* What is remembered of a series from one sample to the next. */
struct series_state {
	size_t figure; /* SIZE_MAX: none is made of it */
	bool counter;
	size_t key; /* SIZE_MAX: it has none */
	bool has_before;
	int64_t before;
	int64_t before_ns;
};

struct walk {
	struct health_lane *lane;
	const struct windows *windows;
	int64_t bin_ns;
	struct series_state *series;
	uint32_t sessions; /* tells which samples asked for sessions */
	uint32_t cost;
	int64_t first_ns;
	int64_t last_ns;
	int64_t own_ns[2][2]; /* CPU of ours and of the server for us: first and last */
	bool has_own[2];
};

static void add_to(struct health_stat *stat, double value, double total, double weight)
{
	if (stat->n == 0) {
		stat->first = value;
		stat->max = value;
	}
	stat->n++;
	stat->max = fmax(stat->max, value);
	stat->last = value;
	stat->total += total;
	stat->mean += value * weight; /* a sum until the walk is over */
	stat->weight += weight;
}

struct health_stat health_stat_join(const struct health_stat *a, const struct health_stat *b)
{
	if (a->n == 0)
		return *b;
	if (b->n == 0)
		return *a;
	struct health_stat both = *a;
	both.n += b->n;
	both.max = fmax(a->max, b->max);
	both.total += b->total;
	both.last = b->last;
	both.weight += b->weight;
	both.mean = both.weight > 0 ? (a->mean * a->weight + b->mean * b->weight) / both.weight : a->mean;
	return both;
}

/* The window of a sample that stands for (start_ns, end_ns]. What was before the run's start is its warm-up. */
static enum window_kind window_of(const struct windows *windows, int64_t start_ns, int64_t end_ns)
{
	const struct window *during = &windows->of[WINDOW_DURING];
	if (windows->migration && end_ns >= during->start_ns && start_ns < during->end_ns)
		return WINDOW_DURING;
	if (windows->migration && start_ns >= during->end_ns)
		return WINDOW_AFTER;
	return end_ns <= 0 || end_ns <= windows->of[WINDOW_WARMUP].end_ns ? WINDOW_WARMUP : WINDOW_BEFORE;
}

static void add_to_bin(const struct walk *walk, size_t figure, int64_t time_ns, double value)
{
	if (time_ns < 0 || walk->bin_ns <= 0)
		return;
	size_t bin = (size_t)(time_ns / walk->bin_ns);
	if (bin >= HEALTH_BINS_MAX)
		return;
	float *at = &walk->lane->bins[figure][bin];
	if (isnan(*at) || value > (double)*at)
		*at = (float)value;
}

static void add_value(struct walk *walk, struct series_state *state, int64_t value, int64_t time_ns,
		      enum window_kind window)
{
	double scale = figures[state->figure].scale;
	double figure = (double)value * scale;
	double total = 0;
	double weight = 1;
	if (state->counter) {
		bool sound = state->has_before && value >= state->before && time_ns > state->before_ns;
		double more = sound ? (double)(value - state->before) * scale : 0;
		weight = sound ? ns_to_s(time_ns - state->before_ns) : 0;
		state->has_before = true;
		state->before = value;
		state->before_ns = time_ns;
		if (!sound) /* the first one, or the server was started anew */
			return;
		figure = more / weight;
		if (strcmp(figures[state->figure].unit, "share") == 0)
			figure = fmin(figure, 1); /* two clocks that are not read in the same moment */
		total = more;
	}
	add_to_bin(walk, state->figure, time_ns, figure);
	add_to(&walk->lane->of[state->figure][window], figure, total, weight);
}

static void note_own_cost(struct walk *walk, const struct health_value *value)
{
	static const char *const names[2] = {"watch.cpu_ns", "watch.server_cpu_ns"};
	const char *name = walk->lane->log->series[value->series].name;
	for (int i = 0; i < 2; i++) {
		if (strcmp(name, names[i]) != 0)
			continue;
		/* A new connection begins at nought: then what came before is not counted. */
		if (!walk->has_own[i] || value->value < walk->own_ns[i][1])
			walk->own_ns[i][0] = value->value;
		walk->own_ns[i][1] = value->value;
		walk->has_own[i] = true;
	}
	if (value->series == walk->cost)
		add_to(&walk->lane->sample_cost, ns_to_ms(value->value), 0, 1);
}

static void add_sample(struct walk *walk, const struct health_sample *sample)
{
	struct health_lane *lane = walk->lane;
	int64_t from_ns = walk->first_ns < 0 ? sample->time_ns - 1 : walk->last_ns;
	enum window_kind window = window_of(walk->windows, from_ns, sample->time_ns);
	for (size_t i = 0; i < sample->count; i++) {
		const struct health_value *value = &sample->values[i];
		struct series_state *state = &walk->series[value->series];
		if (state->figure != SIZE_MAX)
			add_value(walk, state, value->value, sample->time_ns, window);
		if (state->key != SIZE_MAX)
			add_to(&lane->keys[state->key].of[window], (double)value->value, 0, 1);
		if (value->series == walk->sessions)
			lane->samples[window]++;
		note_own_cost(walk, value);
	}
	if (walk->first_ns < 0)
		walk->first_ns = sample->time_ns < 0 ? 0 : sample->time_ns;
	walk->last_ns = sample->time_ns;
}

static void prepare_series(struct walk *walk)
{
	struct health_lane *lane = walk->lane;
	const struct health_log *log = lane->log;
	walk->series = mem_zalloc(log->series_count + 1, sizeof(*walk->series));
	lane->keys = mem_zalloc(log->series_count + 1, sizeof(*lane->keys));
	for (size_t i = 0; i < log->series_count; i++) {
		const struct health_series_info *info = health_series_find(log->series[i].name);
		struct series_state *state = &walk->series[i];
		*state = (struct series_state){.figure = SIZE_MAX, .key = SIZE_MAX};
		if (info && info->keyed) {
			state->key = lane->key_count;
			lane->keys[lane->key_count++].id = log->series[i];
		}
		for (size_t f = 0; info && !info->keyed && f < FIGURE_COUNT; f++) {
			if (strcmp(figures[f].series, info->name) == 0)
				state->figure = f;
		}
		state->counter = info && info->counter;
	}
	walk->sessions = health_log_find(log, "sessions.active", "");
	walk->cost = health_log_find(log, "watch.sample_ns", "");
}

/* Sums become means. What a keyed series did not say was nought, in samples that asked for sessions. */
static void finish_stats(struct walk *walk)
{
	struct health_lane *lane = walk->lane;
	for (size_t f = 0; f < FIGURE_COUNT; f++) {
		for (int w = 0; w < WINDOW_COUNT; w++) {
			struct health_stat *stat = &lane->of[f][w];
			stat->mean = stat->weight > 0 ? stat->mean / stat->weight : 0;
		}
	}
	for (size_t k = 0; k < lane->key_count; k++) {
		bool is_wait = strcmp(lane->keys[k].id.name, "wait") == 0;
		for (int w = 0; w < WINDOW_COUNT; w++) {
			struct health_stat *stat = &lane->keys[k].of[w];
			double of = is_wait ? (double)lane->samples[w] : stat->weight;
			stat->mean = of > 0 ? stat->mean / of : 0;
		}
	}
	struct health_stat *cost = &lane->sample_cost;
	cost->mean = cost->weight > 0 ? cost->mean / cost->weight : 0;
	double span_ns = (double)(lane->log->end_ns - lane->log->start_ns);
	double shares[2];
	for (int i = 0; i < 2; i++)
		shares[i] = walk->has_own[i] && span_ns > 0
				    ? (double)(walk->own_ns[i][1] - walk->own_ns[i][0]) / span_ns
				    : -1;
	lane->own_cpu_share = shares[0];
	lane->own_server_cpu_share = shares[1];
}

void health_lane_read(struct health_lane *lane, const char *path, const struct windows *windows, int64_t bin_ns)
{
	struct walk walk = {.lane = lane, .windows = windows, .bin_ns = bin_ns, .first_ns = -1};
	struct health_sample sample;
	struct error err = ERROR_INIT;
	memset(lane, 0, sizeof(*lane));
	for (size_t f = 0; f < HEALTH_FIGURES_MAX; f++) {
		for (size_t b = 0; b < HEALTH_BINS_MAX; b++)
			lane->bins[f][b] = NAN;
	}
	lane->own_cpu_share = -1;
	lane->own_server_cpu_share = -1;
	int rc = health_log_open(path, &lane->log, &err);
	if (rc == 0) {
		prepare_series(&walk);
		while ((rc = health_log_next(lane->log, &sample, &err)) > 0)
			add_sample(&walk, &sample);
		finish_stats(&walk);
	}
	free(walk.series);
	if (rc == 0)
		return;
	/* A file that is damaged in the middle is not trusted in part. */
	health_lane_release(lane);
	const char *name = strrchr(path, '/');
	(void)snprintf(lane->reason, sizeof(lane->reason), "%s cannot be read", name ? name + 1 : path);
}

void health_lane_release(struct health_lane *lane)
{
	health_log_free(lane->log);
	free(lane->keys);
	memset(lane, 0, sizeof(*lane));
}

const struct health_key *health_lane_key(const struct health_lane *lane, const char *name, const char *key)
{
	for (size_t i = 0; i < lane->key_count; i++) {
		if (strcmp(lane->keys[i].id.name, name) == 0 && strcmp(lane->keys[i].id.key, key) == 0)
			return &lane->keys[i];
	}
	return NULL;
}
