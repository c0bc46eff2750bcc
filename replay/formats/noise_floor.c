/* The noise floor of a workload on a machine: see noise_floor.h and docs/formats.md. */
#include "noise_floor.h"

#include "json_file.h"
#include "json_reader.h"
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

static double read_real(struct json_reader *reader, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	double number = json_number_value(value);
	if (json_is_number(value) && isfinite(number) && number >= 0)
		return number;
	json_reader_fail(reader, key);
	return 0;
}

static void read_statement(struct json_reader *reader, const json_t *object, struct noise_floor *floor)
{
	char *hash = json_reader_string(reader, object, "fingerprint", false);
	char *end = NULL;
	struct noise_statement s = {.hash = strtoull(hash, &end, 16),
				    .runs = (uint32_t)json_reader_int(reader, object, "runs", 0, RUNS_MAX),
				    .log_rms = read_real(reader, object, "log_rms"),
				    .log_max = read_real(reader, object, "log_max")};
	if (strlen(hash) != 16 || *end)
		json_reader_fail(reader, "fingerprint");
	free(hash);
	MEM_GROW(floor->statements, floor->count, floor->capacity);
	floor->statements[floor->count++] = s;
}

static void read_document(struct json_reader *reader, const json_t *document, struct noise_floor *floor)
{
	const json_t *outcomes = json_object_get(document, "outcomes");
	floor->workload = json_reader_string(reader, document, "workload", false);
	floor->machine = json_reader_string(reader, document, "machine", false);
	floor->runs = (uint32_t)json_reader_int(reader, document, "runs", 0, RUNS_MAX);
	for (int i = 0; i < 4; i++)
		floor->outcomes[i] = (uint32_t)json_reader_int(reader, outcomes, outcome_names[i], 0, RUNS_MAX);
	const json_t *statements = json_reader_array(reader, document, "statements", STATEMENTS_MAX);
	for (size_t i = 0; !reader->bad && i < json_array_size(statements); i++)
		read_statement(reader, json_array_get(statements, i), floor);
	if (floor->count)
		qsort(floor->statements, floor->count, sizeof(*floor->statements), compare_hash);
}

int noise_floor_load(const char *path, struct noise_floor *floor, struct error *err)
{
	json_t *document;
	struct json_reader reader = {NULL};
	noise_floor_init(floor);
	int rc = json_file_load(path, &document, err);
	if (rc < 0)
		return rc;
	const char *schema = json_string_value(json_object_get(document, "schema"));
	if (!schema || strcmp(schema, SCHEMA) != 0)
		rc = error_set(err, ERR_DATA, "%s: is no noise floor (" SCHEMA ")", path);
	else
		read_document(&reader, document, floor);
	if (reader.bad)
		rc = error_set(err, ERR_DATA, "%s: \"%s\" is missing or out of range", path, reader.bad);
	if (rc < 0)
		noise_floor_release(floor);
	json_decref(document);
	return rc;
}
