/* Results of baseline-against-baseline runs in SQLite: see noise_store.h. */
#include "noise_store.h"

#include "mem.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS	       5000
#define APPLICATION_ID 0x52484e53 /* "RHNS", in the file's header: PRAGMA application_id */

struct noise_store {
	sqlite3 *db;
	char *path;
};

static const char schema_sql[] =
	"CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, at TEXT NOT NULL, workload TEXT NOT NULL,"
	" machine TEXT NOT NULL, outcome TEXT NOT NULL, fidelity TEXT NOT NULL);"
	"CREATE INDEX IF NOT EXISTS runs_of ON runs (workload, machine, id);"
	"CREATE TABLE IF NOT EXISTS ratios (run INTEGER NOT NULL REFERENCES runs (id), fingerprint TEXT NOT NULL,"
	" n INTEGER NOT NULL, log_ratio REAL NOT NULL, PRIMARY KEY (run, fingerprint)) WITHOUT ROWID;"
	"PRAGMA application_id = 1380470355;";
_Static_assert(APPLICATION_ID == 1380470355, "the pragma above takes no expression");

static int fail(const struct noise_store *store, struct error *err)
{
	return error_set(err, ERR_INTERNAL, "%s: %s", store->path, sqlite3_errmsg(store->db));
}

static int run_sql(struct noise_store *store, const char *sql, struct error *err)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(store, err);
}

static int make_folder(const char *path, struct error *err)
{
	char *folder = mem_strdup(path);
	int rc = 0;
	for (char *p = folder + 1; rc == 0 && (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(folder, 0700) < 0 && errno != EEXIST)
			rc = error_set_errno(err, ERR_USAGE, "%s: cannot make the folder", folder);
		*p = '/';
	}
	free(folder);
	return rc;
}

/* A database of another program is not touched. */
static int check_application(struct noise_store *store, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	sqlite3_int64 id = -1;
	sqlite3_int64 tables = -1;
	if (sqlite3_prepare_v2(store->db,
			       "SELECT (SELECT * FROM pragma_application_id), (SELECT count(*) FROM sqlite_master)", -1,
			       &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW) {
		id = sqlite3_column_int64(statement, 0);
		tables = sqlite3_column_int64(statement, 1);
	}
	(void)sqlite3_finalize(statement);
	if (id == APPLICATION_ID || (id == 0 && tables == 0))
		return 0;
	return error_set(err, ERR_DATA, "%s: is no store of noise floors", store->path);
}

int noise_store_open(const char *path, struct noise_store **out, struct error *err)
{
	int rc = make_folder(path, err);
	if (rc < 0)
		return rc;
	struct noise_store *store = mem_zalloc(1, sizeof(*store));
	store->path = mem_strdup(path);
	if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
		rc = error_set(err, ERR_USAGE, "%s: %s", path, store->db ? sqlite3_errmsg(store->db) : "no memory");
	if (rc == 0) {
		(void)sqlite3_busy_timeout(store->db, BUSY_MS);
		rc = check_application(store, err);
	}
	if (rc == 0)
		rc = run_sql(store, schema_sql, err);
	if (rc < 0) {
		noise_store_close(store);
		return rc;
	}
	*out = store;
	return 0;
}

void noise_store_close(struct noise_store *store)
{
	if (!store)
		return;
	(void)sqlite3_close(store->db);
	free(store->path);
	free(store);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static int add_ratios(struct noise_store *store, sqlite3_int64 run, const json_t *queries, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	size_t i;
	json_t *query;
	int rc = 0;
	if (sqlite3_prepare_v2(store->db, "INSERT OR IGNORE INTO ratios VALUES (?, ?, ?, ?)", -1, &statement, NULL) !=
	    SQLITE_OK)
		return fail(store, err);
	json_array_foreach (queries, i, query) {
		double ratio = json_number_value(json_object_get(query, "ratio"));
		json_int_t n = json_integer_value(json_object_get(query, "n"));
		/* One that was too short to be tested has a ratio of chance, not of the machine's noise. */
		if (!(ratio > 0) || !json_is_number(json_object_get(query, "p")))
			continue;
		(void)sqlite3_bind_int64(statement, 1, run);
		(void)sqlite3_bind_text(statement, 2, text_of(query, "fingerprint"), -1, SQLITE_TRANSIENT);
		(void)sqlite3_bind_int64(statement, 3, n);
		(void)sqlite3_bind_double(statement, 4, log(ratio));
		if (sqlite3_step(statement) != SQLITE_DONE)
			rc = fail(store, err);
		(void)sqlite3_reset(statement);
		if (rc < 0)
			break;
	}
	(void)sqlite3_finalize(statement);
	return rc;
}

static int add_run(struct noise_store *store, const char *workload, const char *machine, const json_t *verdict,
		   struct error *err)
{
	sqlite3_stmt *statement = NULL;
	const char *outcome = text_of(verdict, "outcome");
	int rc = 0;
	if (sqlite3_prepare_v2(store->db,
			       "INSERT INTO runs (at, workload, machine, outcome, fidelity)"
			       " VALUES (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?, ?, ?, ?)",
			       -1, &statement, NULL) != SQLITE_OK)
		return fail(store, err);
	(void)sqlite3_bind_text(statement, 1, workload, -1, SQLITE_TRANSIENT);
	(void)sqlite3_bind_text(statement, 2, machine, -1, SQLITE_TRANSIENT);
	(void)sqlite3_bind_text(statement, 3, outcome, -1, SQLITE_TRANSIENT);
	(void)sqlite3_bind_text(statement, 4, text_of(json_object_get(verdict, "fidelity"), "grade"), -1,
				SQLITE_TRANSIENT);
	if (sqlite3_step(statement) != SQLITE_DONE)
		rc = fail(store, err);
	(void)sqlite3_finalize(statement);
	if (rc == 0 && strcmp(outcome, "invalid") != 0)
		rc = add_ratios(store, sqlite3_last_insert_rowid(store->db), json_object_get(verdict, "queries"), err);
	return rc;
}

int noise_store_add(struct noise_store *store, const char *workload, const char *machine, const json_t *verdict,
		    struct error *err)
{
	if (json_array_size(json_object_get(verdict, "migration")) > 0)
		return error_set(err, ERR_USAGE, "a run with a migration is no measure of the noise");
	int rc = run_sql(store, "BEGIN IMMEDIATE", err);
	if (rc < 0)
		return rc;
	rc = add_run(store, workload, machine, verdict, err);
	struct error ignored = ERROR_INIT;
	return rc == 0 ? run_sql(store, "COMMIT", err) : (run_sql(store, "ROLLBACK", &ignored), rc);
}

/* ---- reading ---- */

static const char latest_sql[] =
	"WITH latest AS (SELECT id, outcome FROM runs WHERE workload = ?1 AND machine = ?2 ORDER BY id DESC LIMIT ?3)";

static sqlite3_stmt *prepare_latest(struct noise_store *store, const char *select, const char *workload,
				    const char *machine)
{
	char *sql = mem_printf("%s %s", latest_sql, select);
	sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) == SQLITE_OK) {
		(void)sqlite3_bind_text(statement, 1, workload, -1, SQLITE_TRANSIENT);
		(void)sqlite3_bind_text(statement, 2, machine, -1, SQLITE_TRANSIENT);
		(void)sqlite3_bind_int(statement, 3, NOISE_STORE_RUNS_MAX);
	}
	free(sql);
	return statement;
}

static void take_outcome(struct noise_floor *floor, const char *name, uint32_t count)
{
	static const char *const names[4] = {"clear", "hurts", "cannot_tell", "invalid"};
	floor->runs += count;
	for (int i = 0; i < 4; i++) {
		if (strcmp(names[i], name) == 0)
			floor->outcomes[i] += count;
	}
}

static int read_outcomes(struct noise_store *store, struct noise_floor *floor, struct error *err)
{
	sqlite3_stmt *statement = prepare_latest(store, "SELECT outcome, count(*) FROM latest GROUP BY 1",
						 floor->workload, floor->machine);
	int step = SQLITE_ERROR;
	while (statement && (step = sqlite3_step(statement)) == SQLITE_ROW)
		take_outcome(floor, (const char *)sqlite3_column_text(statement, 0),
			     (uint32_t)sqlite3_column_int64(statement, 1));
	int rc = step == SQLITE_DONE ? 0 : fail(store, err);
	(void)sqlite3_finalize(statement);
	return rc;
}

static int read_statements(struct noise_store *store, struct noise_floor *floor, struct error *err)
{
	sqlite3_stmt *statement = prepare_latest(
		store,
		"SELECT fingerprint, count(*), sum(log_ratio * log_ratio), max(abs(log_ratio)) FROM ratios"
		" WHERE run IN (SELECT id FROM latest) AND length(fingerprint) = 16 GROUP BY 1 ORDER BY 1",
		floor->workload, floor->machine);
	int step = SQLITE_ERROR;
	while (statement && (step = sqlite3_step(statement)) == SQLITE_ROW) {
		uint32_t runs = (uint32_t)sqlite3_column_int64(statement, 1);
		MEM_GROW(floor->statements, floor->count, floor->capacity);
		floor->statements[floor->count++] = (struct noise_statement){
			.hash = strtoull((const char *)sqlite3_column_text(statement, 0), NULL, 16),
			.runs = runs,
			.log_rms = sqrt(sqlite3_column_double(statement, 2) / runs),
			.log_max = sqlite3_column_double(statement, 3),
		};
	}
	int rc = step == SQLITE_DONE ? 0 : fail(store, err);
	(void)sqlite3_finalize(statement);
	return rc;
}

int noise_store_read(struct noise_store *store, const char *workload, const char *machine, struct noise_floor *floor,
		     struct error *err)
{
	noise_floor_init(floor);
	floor->workload = mem_strdup(workload);
	floor->machine = mem_strdup(machine);
	int rc = read_outcomes(store, floor, err);
	return rc == 0 ? read_statements(store, floor, err) : rc;
}

char *noise_store_usual_path(void)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	if (state && *state == '/')
		return mem_printf("%s/rehearse/noise.db", state);
	return home && *home == '/' ? mem_printf("%s/.local/state/rehearse/noise.db", home) : NULL;
}

char *noise_store_machine(void)
{
	char model[128] = "unknown processor";
	char line[512];
	FILE *file = fopen("/proc/cpuinfo", "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
			(void)snprintf(model, sizeof(model), "%s", strchr(line, ':') + 2);
			model[strcspn(model, "\n")] = '\0';
			break;
		}
	}
	if (file)
		(void)fclose(file);
	double gib = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGE_SIZE) / (1024.0 * 1024 * 1024);
	return mem_printf("%s, %ld cores, %.0f GiB", model, sysconf(_SC_NPROCESSORS_ONLN), gib);
}
