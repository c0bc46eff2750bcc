/* The noise floor of a workload on this machine, kept and used: see noise_args.h. */
#include "noise_args.h"

#include "item_index.h"
#include "mem.h"
#include "noise_store.h"
#include "output.h"
#include "run_dir.h"
#include "strbuf.h"

#include <unistd.h>

#define WORKLOAD_MAX 400

static char *store_path(const struct noise_args *args)
{
	return args->store ? mem_strdup(args->store) : noise_store_usual_path();
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "shop" or "billing+shop": the databases of the run's sessions. To be freed; NULL when the run has no index. */
static char *workload_of(const struct noise_args *args, const char *run_dir)
{
	if (args->workload)
		return mem_strdup(args->workload);
	struct error ignored = ERROR_INIT;
	struct item_index *index;
	char *path = run_dir_path(run_dir, ITEM_INDEX_FILE);
	int rc = item_index_open(path, &index, &ignored);
	free(path);
	if (rc < 0)
		return NULL;
	uint32_t count = item_index_session_count(index);
	const char **names = mem_zalloc((size_t)count + 1, sizeof(*names));
	for (uint32_t i = 0; i < count; i++)
		names[i] = item_index_session(index, i)->database ? item_index_session(index, i)->database : "";
	qsort(names, count, sizeof(*names), compare_names);
	struct strbuf text;
	strbuf_init(&text, WORKLOAD_MAX);
	for (uint32_t i = 0; i < count; i++) {
		if (*names[i] && (i == 0 || strcmp(names[i], names[i - 1]) != 0))
			strbuf_addf(&text, "%s%s", text.len ? "+" : "", names[i]);
	}
	if (text.len == 0)
		strbuf_add_str(&text, "default");
	free(names);
	item_index_free(index);
	return strbuf_detach(&text);
}

static int read_floor(const char *path, const char *workload, struct noise_floor *floor, struct error *err)
{
	struct noise_store *store;
	int rc = noise_store_open(path, &store, err);
	if (rc < 0)
		return rc;
	char *machine = noise_store_machine();
	rc = noise_store_read(store, workload, machine, floor, err);
	free(machine);
	noise_store_close(store);
	return rc;
}

static int save_floor(const struct noise_floor *floor, const char *run_dir, struct error *err)
{
	char *path = run_dir_path(run_dir, NOISE_FLOOR_FILE);
	int rc = floor->runs ? noise_floor_save(floor, path, err) : 0;
	free(path);
	return rc;
}

void noise_put_beside(const struct noise_args *args, const char *run_dir)
{
	struct error err = ERROR_INIT;
	struct noise_floor floor;
	char *path = store_path(args);
	char *workload = path && access(path, F_OK) == 0 ? workload_of(args, run_dir) : NULL;
	noise_floor_init(&floor);
	if (workload) {
		int rc = read_floor(path, workload, &floor, &err);
		if (rc == 0)
			rc = save_floor(&floor, run_dir, &err);
		if (rc < 0)
			output_warning("the noise floor is not used: %s", err.text);
	}
	noise_floor_release(&floor);
	free(workload);
	free(path);
}

int noise_take_in(const struct noise_args *args, const char *run_dir, const json_t *verdict, struct noise_floor *floor,
		  struct error *err)
{
	struct noise_store *store = NULL;
	noise_floor_init(floor);
	char *path = store_path(args);
	char *workload = workload_of(args, run_dir);
	char *machine = noise_store_machine();
	int rc = path ? 0 : error_set(err, ERR_USAGE, "HOME is not set; say --noise-store FILE");
	if (rc == 0 && !workload)
		rc = error_set(err, ERR_DATA, "%s: has no item index", run_dir);
	if (rc == 0)
		rc = noise_store_open(path, &store, err);
	if (rc == 0)
		rc = noise_store_add(store, workload, machine, verdict, err);
	if (rc == 0)
		rc = noise_store_read(store, workload, machine, floor, err);
	noise_store_close(store);
	free(machine);
	free(workload);
	free(path);
	return rc;
}
