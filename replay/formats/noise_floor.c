/* The noise floor of a workload on a machine: see noise_floor.h and docs/formats.md. */
#include "noise_floor.h"

#include "json_file.h"
#include "mem.h"

#include <inttypes.h>
#include <math.h>

#define SCHEMA	       "rehearse.noise/1"
#define STATEMENTS_MAX 1000000
#define RUNS_MAX       1000000

static const char *const outcome_names[4] = {"clear", "hurts", "cannot_tell", "invalid"};

void noise_floor_init(struct noise_floor *floor)
{
	memset(floor, 0, sizeof(*floor));
}

void noise_floor_release(struct noise_floor *floor)
{
	free(floor->workload);
	free(floor->machine);
	free(floor->statements);
	memset(floor, 0, sizeof(*floor));
}

static int compare_hash(const void *a, const void *b)
{
	const struct noise_statement *x = a;
	const struct noise_statement *y = b;
	return (x->hash > y->hash) - (x->hash < y->hash);
}

const struct noise_statement *noise_floor_find(const struct noise_floor *floor, uint64_t hash)
{
	struct noise_statement key = {.hash = hash};
	return floor->count ? bsearch(&key, floor->statements, floor->count, sizeof(key), compare_hash) : NULL;
}

int noise_floor_save(const struct noise_floor *floor, const char *path, struct error *err)
{
	json_t *outcomes = json_object();
	json_t *statements = json_array();
	for (int i = 0; i < 4; i++)
		(void)json_object_set_new(outcomes, outcome_names[i], json_integer(floor->outcomes[i]));
	for (size_t i = 0; i < floor->count; i++) {
		const struct noise_statement *s = &floor->statements[i];
		char hash[20];
		(void)snprintf(hash, sizeof(hash), "%016" PRIx64, s->hash);
		(void)json_array_append_new(statements,
					    json_pack("{s:s, s:i, s:f, s:f}", "fingerprint", hash, "runs", (int)s->runs,
						      "log_rms", s->log_rms, "log_max", s->log_max));
	}
	json_t *document =
		json_pack("{s:s, s:s, s:s, s:i, s:o, s:o}", "schema", SCHEMA, "workload", floor->workload, "machine",
			  floor->machine, "runs", (int)floor->runs, "outcomes", outcomes, "statements", statements);
	if (!document)
		return error_set(err, ERR_INTERNAL, "%s: a name in it is not UTF-8", path);
	int rc = json_file_save(path, document, err);
	json_decref(document);
	return rc;
}

static bool get_count(const json_t *object, const char *key, int64_t max, uint32_t *out)
{
	const json_t *value = json_object_get(object, key);
	int64_t number = json_integer_value(value);
	*out = (uint32_t)number;
	return json_is_integer(value) && number >= 0 && number <= max;
}

static bool get_real(const json_t *object, const char *key, double *out)
{
	const json_t *value = json_object_get(object, key);
	*out = json_number_value(value);
	return json_is_number(value) && isfinite(*out) && *out >= 0;
}

static bool read_statement(const json_t *object, struct noise_floor *floor)
{
	struct noise_statement s = {0};
	const char *hash = json_string_value(json_object_get(object, "fingerprint"));
	char *end = NULL;
	if (!hash || strlen(hash) != 16 || !get_count(object, "runs", RUNS_MAX, &s.runs) ||
	    !get_real(object, "log_rms", &s.log_rms) || !get_real(object, "log_max", &s.log_max))
		return false;
	s.hash = strtoull(hash, &end, 16);
	if (*end)
		return false;
	MEM_GROW(floor->statements, floor->count, floor->capacity);
	floor->statements[floor->count++] = s;
	return true;
}

static bool read_document(const json_t *document, struct noise_floor *floor)
{
	const char *schema = json_string_value(json_object_get(document, "schema"));
	const char *workload = json_string_value(json_object_get(document, "workload"));
	const char *machine = json_string_value(json_object_get(document, "machine"));
	const json_t *statements = json_object_get(document, "statements");
	const json_t *outcomes = json_object_get(document, "outcomes");
	if (!schema || strcmp(schema, SCHEMA) != 0 || !workload || !machine || !json_is_array(statements) ||
	    json_array_size(statements) > STATEMENTS_MAX || !get_count(document, "runs", RUNS_MAX, &floor->runs))
		return false;
	floor->workload = mem_strdup(workload);
	floor->machine = mem_strdup(machine);
	for (int i = 0; i < 4; i++) {
		if (!get_count(outcomes, outcome_names[i], RUNS_MAX, &floor->outcomes[i]))
			return false;
	}
	for (size_t i = 0; i < json_array_size(statements); i++) {
		if (!read_statement(json_array_get(statements, i), floor))
			return false;
	}
	if (floor->count)
		qsort(floor->statements, floor->count, sizeof(*floor->statements), compare_hash);
	return true;
}

int noise_floor_load(const char *path, struct noise_floor *floor, struct error *err)
{
	json_t *document;
	noise_floor_init(floor);
	int rc = json_file_load(path, &document, err);
	if (rc < 0)
		return rc;
	if (!read_document(document, floor)) {
		noise_floor_release(floor);
		rc = error_set(err, ERR_DATA, "%s: is no noise floor of the schema " SCHEMA, path);
	}
	json_decref(document);
	return rc;
}
