/*
 * Opening a run directory: see run_data.h. A lock log that is missing or cut is no error here: the evidence judge is
 * blind then, and says so. Everything else has to be there.
 */
#include "run_data.h"

#include "clock.h"
#include "json_file.h"
#include "lock_merge.h"
#include "mem.h"
#include "run_dir.h"

#include <inttypes.h>
#include <math.h>
#include <unistd.h>

const char *judge_lane_name(enum judge_lane lane)
{
	return lane == JUDGE_BASELINE ? "baseline" : "migrating";
}

/* Seconds as nanoseconds; -1 for null, a missing field, or a number that is no time of a run. */
static int64_t read_time(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	if (!json_is_number(value))
		return -1;
	double s = json_number_value(value);
	return s >= 0 && s < 1e9 ? (int64_t)llround(s * 1e9) : -1;
}

static int load_run(struct run_data *data, struct error *err)
{
	char *path = run_dir_path(data->dir, RUN_FILE_RUN);
	int rc = json_file_load(path, &data->run, err);
	if (rc == 0 && !json_is_object(data->run))
		rc = error_set(err, ERR_DATA, "%s: is not the account of a run", path);
	if (rc == 0) {
		const char *schema = json_string_value(json_object_get(data->run, "schema"));
		if (!schema || strncmp(schema, "rehearse.run/1", 14) != 0)
			rc = error_set(err, ERR_DATA, "%s: its schema is not rehearse.run/1", path);
	}
	const json_t *lanes = json_object_get(data->run, "lanes");
	for (int lane = 0; rc == 0 && lane < JUDGE_LANES; lane++) {
		if (!json_is_object(json_object_get(lanes, judge_lane_name(lane))))
			rc = error_set(err, ERR_USAGE,
				       "%s: has no %s lane; compare needs a run with both --baseline and --migrating",
				       data->dir, judge_lane_name(lane));
	}
	free(path);
	if (rc < 0)
		return rc;
	data->complete = json_is_true(json_object_get(data->run, "complete"));
	data->interrupted = json_is_true(json_object_get(data->run, "interrupted"));
	data->end_ns = read_time(data->run, "end_s");
	data->wanted_migration = json_is_number(json_object_get(data->run, "migrate_at_s"));
	return 0;
}

static int load_ledger(struct run_data *data, struct error *err)
{
	char *path = run_dir_path(data->dir, LEDGER_FILE);
	int rc = 0;
	if (access(path, F_OK) == 0) {
		rc = ledger_load(path, &data->ledger, err);
		data->has_ledger = rc == 0;
	}
	free(path);
	if (rc < 0)
		return rc;
	data->migration_start_ns = read_time(data->run, "migration_start_s");
	data->migration_end_ns = read_time(data->run, "migration_end_s");
	if (data->has_ledger && data->ledger.outcome != LEDGER_NONE) {
		data->migration_start_ns = data->ledger.start_ns;
		data->migration_end_ns = ledger_migrated_ns(&data->ledger);
	}
	data->has_migration = data->migration_start_ns >= 0;
	if (!data->has_migration)
		data->migration_start_ns = data->end_ns;
	if (data->migration_end_ns < data->migration_start_ns)
		data->migration_end_ns =
			data->end_ns > data->migration_start_ns ? data->end_ns : data->migration_start_ns;
	return 0;
}

static bool load_lock_log(const struct run_data *data, const char *name, struct lock_log *log)
{
	struct error why = ERROR_INIT;
	char *path = run_dir_path(data->dir, name);
	bool there = access(path, F_OK) == 0 && lock_log_load(path, log, &why) == 0;
	free(path);
	return there;
}

/* Two witnesses for each lane; where the sampler has nothing to say, the server's log says it alone. */
static void load_locks(struct run_data *data)
{
	static const char *const names[JUDGE_LANES] = {LOCK_LOG_BASELINE, LOCK_LOG_MIGRATING};
	static const char *const server_names[JUDGE_LANES] = {LOCK_LOG_SERVER_BASELINE, LOCK_LOG_SERVER_MIGRATING};
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		struct lock_log server = {0};
		data->has_locks[lane] = load_lock_log(data, names[lane], &data->locks[lane]);
		data->has_server_locks[lane] = load_lock_log(data, server_names[lane], &server) && server.complete;
		if (!data->has_locks[lane] && data->has_server_locks[lane]) {
			data->locks[lane] = (struct lock_log){.interval_ns = server.interval_ns,
							      .start_ns = server.start_ns,
							      .end_ns = server.end_ns,
							      .complete = true};
			data->has_locks[lane] = true;
		}
		if (data->has_locks[lane])
			lock_merge(&data->locks[lane], data->has_server_locks[lane] ? &server : NULL, &data->ledger);
		lock_log_release(&server);
	}
}

static int load_noise(struct run_data *data, struct error *err)
{
	char *path = run_dir_path(data->dir, NOISE_FLOOR_FILE);
	int rc = access(path, F_OK) == 0 ? noise_floor_load(path, &data->noise, err) : 0;
	free(path);
	return rc;
}

static int compare_sessions(const void *a, const void *b)
{
	const struct run_session *x = a;
	const struct run_session *y = b;
	if (x->backend_pid != y->backend_pid)
		return x->backend_pid < y->backend_pid ? -1 : 1;
	return (x->opened_ns > y->opened_ns) - (x->opened_ns < y->opened_ns);
}

static void load_sessions(struct run_data *data, enum judge_lane lane)
{
	uint32_t n = run_log_session_count(data->logs[lane]);
	data->sessions[lane] = mem_zalloc(n, sizeof(struct run_session));
	data->session_count[lane] = n;
	for (uint32_t i = 0; i < n; i++)
		data->sessions[lane][i] = *run_log_session(data->logs[lane], i);
	if (n)
		qsort(data->sessions[lane], n, sizeof(struct run_session), compare_sessions);
}

uint32_t run_data_find_session(const struct run_session *sessions, size_t count, int32_t pid, int64_t at_ns)
{
	size_t low = 0;
	size_t high = count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (sessions[mid].backend_pid < pid)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < count && sessions[low].backend_pid == pid; low++) {
		const struct run_session *s = &sessions[low];
		if (s->opened_ns <= at_ns + NS_PER_MS && (s->closed_ns < 0 || s->closed_ns >= at_ns))
			return s->session;
	}
	return RUN_DATA_NO_SESSION;
}

static int open_logs(struct run_data *data, struct error *err)
{
	static const char *const names[JUDGE_LANES] = {RUN_FILE_BASELINE, RUN_FILE_MIGRATING};
	char *path = run_dir_path(data->dir, ITEM_INDEX_FILE);
	int rc = item_index_open(path, &data->items, err);
	free(path);
	for (int lane = 0; rc == 0 && lane < JUDGE_LANES; lane++) {
		path = run_dir_path(data->dir, names[lane]);
		rc = run_log_open(path, &data->logs[lane], err);
		if (rc == 0 && run_log_count(data->logs[lane]) != item_index_count(data->items))
			rc = error_set(err, ERR_DATA, "%s: has %" PRIu64 " items, but %s has %" PRIu64, path,
				       run_log_count(data->logs[lane]), ITEM_INDEX_FILE, item_index_count(data->items));
		free(path);
		if (rc == 0)
			load_sessions(data, lane);
	}
	return rc;
}

int run_data_open(const char *dir, struct run_data *data, struct error *err)
{
	memset(data, 0, sizeof(*data));
	data->dir = mem_strdup(dir);
	ledger_init(&data->ledger);
	int rc = load_run(data, err);
	if (rc == 0)
		rc = open_logs(data, err);
	if (rc == 0)
		rc = load_ledger(data, err);
	if (rc == 0)
		rc = load_noise(data, err);
	if (rc == 0)
		load_locks(data);
	if (rc == 0 && data->end_ns < 0)
		rc = error_set(err, ERR_DATA, "%s/%s: end_s is missing", dir, RUN_FILE_RUN);
	return rc;
}

void run_data_release(struct run_data *data)
{
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		run_log_free(data->logs[lane]);
		free(data->sessions[lane]);
		if (data->has_locks[lane])
			lock_log_release(&data->locks[lane]);
	}
	item_index_free(data->items);
	ledger_release(&data->ledger);
	noise_floor_release(&data->noise);
	json_decref(data->run);
	free(data->dir);
	memset(data, 0, sizeof(*data));
}
