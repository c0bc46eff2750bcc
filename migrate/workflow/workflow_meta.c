/* A migration's meta file: see workflow_meta.h. */
#include "workflow_meta.h"

#include "clock.h"
#include "json_file.h"
#include "mem.h"
#include "num.h"
#include "word_suggest.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/stat.h>

#define META_FILE_MAX	 ((off_t)1024 * 1024)
#define META_ENTRIES_MAX 1000 /* of depends_on and of hot_path */
#define META_NAME_MAX	 140  /* of a table: two names of 63 bytes, quoted */

void workflow_meta_init(struct workflow_meta *meta)
{
	memset(meta, 0, sizeof(*meta));
	meta->transaction = true;
	meta->reversible = true;
	meta->lock_timeout_ns = -1;
	meta->retries = -1;
}

static void free_texts(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

void workflow_meta_release(struct workflow_meta *meta)
{
	free(meta->title);
	free(meta->skip);
	free_texts(meta->depends_on, meta->depends_on_count);
	free_texts(meta->hot_path, meta->hot_path_count);
	workflow_meta_init(meta);
}

bool workflow_id_is_valid(const char *text)
{
	return strspn(text, "0123456789abcdef") == WORKFLOW_ID_LEN && text[WORKFLOW_ID_LEN] == '\0';
}

int workflow_id_make(char out[WORKFLOW_ID_LEN + 1], struct error *err)
{
	uint32_t number = 0;
	ssize_t got;
	do {
		got = getrandom(&number, sizeof(number), 0);
	} while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(number))
		return error_set_errno(err, ERR_INTERNAL, "no random number to be had");
	(void)snprintf(out, WORKFLOW_ID_LEN + 1, "%08x", (unsigned)number);
	return 0;
}

int workflow_title_check(const char *title, struct error *err)
{
	if (strlen(title) > WORKFLOW_TITLE_MAX)
		return error_set(err, ERR_USAGE, "the title is longer than %d bytes", WORKFLOW_TITLE_MAX);
	for (const char *p = title; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return error_set(err, ERR_USAGE, "the title holds a line end or another control character");
	}
	if (title[strspn(title, " ")] == '\0')
		return error_set(err, ERR_USAGE, "the title is empty");
	json_t *text = json_string(title);
	json_decref(text);
	return text ? 0 : error_set(err, ERR_USAGE, "the title is not UTF-8");
}

/* What a field's reader gets. */
struct field {
	const char *path;
	const char *name;
	const json_t *value;
};

static int field_error(const struct field *field, struct error *err, const char *expected)
{
	return error_set(err, ERR_DATA, "%s: \"%s\" must be %s", field->path, field->name, expected);
}

static int read_bool(const struct field *field, bool *out, struct error *err)
{
	if (!json_is_boolean(field->value))
		return field_error(field, err, "true or false");
	*out = json_is_true(field->value);
	return 0;
}

static int read_id(const struct field *field, struct workflow_meta *meta, struct error *err)
{
	const char *text = json_string_value(field->value);
	if (!text || !workflow_id_is_valid(text))
		return field_error(field, err, "8 hex digits in lower case, as text");
	memcpy(meta->id, text, WORKFLOW_ID_LEN + 1);
	return 0;
}

static int read_title(const struct field *field, struct workflow_meta *meta, struct error *err)
{
	const char *text = json_string_value(field->value);
	if (!text)
		return field_error(field, err, "a text");
	if (workflow_title_check(text, err) != 0) {
		err->code = ERR_DATA;
		return error_context(err, "%s", field->path);
	}
	free(meta->title);
	meta->title = mem_strdup(text);
	return 0;
}

/* An array of texts that `good` takes, none twice; *out belongs to the meta from the first on. */
static int read_texts(const struct field *field, bool (*good)(const char *text), const char *expected, char ***out,
		      size_t *count, struct error *err)
{
	size_t size = json_array_size(field->value);
	if (!json_is_array(field->value) || size > META_ENTRIES_MAX)
		return field_error(field, err, expected);
	*out = mem_zalloc(size + 1, sizeof(**out));
	for (size_t i = 0; i < size; i++) {
		const char *text = json_string_value(json_array_get(field->value, i));
		if (!text || !good(text))
			return field_error(field, err, expected);
		for (size_t j = 0; j < *count; j++) {
			if (strcmp((*out)[j], text) == 0)
				return error_set(err, ERR_DATA, "%s: \"%s\" names %s twice", field->path, field->name,
						 text);
		}
		(*out)[(*count)++] = mem_strdup(text);
	}
	return 0;
}

static bool is_table_name(const char *text)
{
	return *text && strlen(text) <= META_NAME_MAX && !strpbrk(text, "\n\r\t");
}

static int read_depends_on(const struct field *field, struct workflow_meta *meta, struct error *err)
{
	return read_texts(field, workflow_id_is_valid, "an array of ids of 8 hex digits", &meta->depends_on,
			  &meta->depends_on_count, err);
}

static int read_hot_path(const struct field *field, struct workflow_meta *meta, struct error *err)
{
	if (json_is_boolean(field->value))
		return read_bool(field, &meta->hot_all, err);
	return read_texts(field, is_table_name, "true, false, or an array of tables", &meta->hot_path,
			  &meta->hot_path_count, err);
}

static int read_transaction(const struct field *field, struct workflow_meta *meta, struct error *err)
{
	return read_bool(field, &meta->transaction, err);
}

static int read_data(const struct field *field, struct workflow_meta *meta, struct error *err)
{
	return read_bool(field, &meta->data, err);
}

static int read_reversible(const struct field *field, struct workflow_meta *meta, struct error *err)
{
	return read_bool(field, &meta->reversible, err);
}

static int read_skip(const struct field *field, struct workflow_meta *meta, struct error *err)
{
	if (json_is_false(field->value))
		return 0;
	const char *text = json_string_value(field->value);
	struct error ignored = ERROR_INIT;
	if (!text || workflow_title_check(text, &ignored) != 0)
		return field_error(field, err, "false, or the reason in one line (\"gh-ost\", \"downtime\")");
	meta->skip = mem_strdup(text);
	return 0;
}

static int read_lock_timeout(const struct field *field, struct workflow_meta *meta, struct error *err)
{
	const char *text = json_string_value(field->value);
	struct error ignored = ERROR_INIT;
	if (!text || num_parse_duration(text, &meta->lock_timeout_ns, &ignored) != 0 ||
	    meta->lock_timeout_ns > 24 * 3600 * NS_PER_S)
		return field_error(field, err, "a duration of a day at most, such as \"2s\" or \"500ms\", as text");
	return 0;
}

static int read_retries(const struct field *field, struct workflow_meta *meta, struct error *err)
{
	json_int_t number = json_integer_value(field->value);
	if (!json_is_integer(field->value) || number < 0 || number > WORKFLOW_RETRIES_MAX)
		return field_error(field, err, "a whole number from 0 to 1000");
	meta->retries = (int)number;
	return 0;
}

static const struct field_reader {
	const char *name;
	int (*read)(const struct field *field, struct workflow_meta *meta, struct error *err);
} readers[] = {
	{"id", read_id},
	{"title", read_title},
	{"depends_on", read_depends_on},
	{"hot_path", read_hot_path},
	{"transaction", read_transaction},
	{"data", read_data},
	{"skip", read_skip},
	{"lock_timeout", read_lock_timeout},
	{"retries", read_retries},
	{"reversible", read_reversible},
};
#define READER_COUNT (sizeof(readers) / sizeof(*readers))

static int read_field(const struct field *field, struct workflow_meta *meta, struct error *err)
{
	const char *names[READER_COUNT + 1] = {NULL};
	for (size_t i = 0; i < READER_COUNT; i++) {
		if (strcmp(readers[i].name, field->name) == 0)
			return readers[i].read(field, meta, err);
		names[i] = readers[i].name;
	}
	const char *near = word_suggest(field->name, names);
	return error_set(err, ERR_DATA, "%s: unknown field \"%.60s\"%s%s%s", field->path, field->name,
			 near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int read_document(const char *path, const json_t *document, struct workflow_meta *meta, struct error *err)
{
	if (!json_is_object(document))
		return error_set(err, ERR_DATA, "%s: is not a JSON object", path);
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)document, name, value) {
		const struct field field = {path, name, value};
		int rc = read_field(&field, meta, err);
		if (rc)
			return rc;
	}
	if (!meta->id[0])
		return error_set(err, ERR_DATA, "%s: \"id\" is missing", path);
	if (!meta->title)
		return error_set(err, ERR_DATA, "%s: \"title\" is missing", path);
	return 0;
}

int workflow_meta_load(const char *path, struct workflow_meta *meta, struct error *err)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return error_set_errno(err, ERR_DATA, "%s: cannot open", path);
	if (!S_ISREG(st.st_mode) || st.st_size > META_FILE_MAX)
		return error_set(err, ERR_DATA, "%s: is not a file of 1 MB at most", path);
	json_t *document = NULL;
	int rc = json_file_load(path, &document, err);
	if (rc == 0)
		rc = read_document(path, document, meta, err);
	json_decref(document);
	return rc;
}

static json_t *texts_to_json(char *const *texts, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, json_string(texts[i]));
	return list;
}

int workflow_meta_save(const char *path, const struct workflow_meta *meta, struct error *err)
{
	json_t *root = json_object();
	(void)json_object_set_new(root, "id", json_string(meta->id));
	(void)json_object_set_new(root, "title", json_string(meta->title));
	(void)json_object_set_new(root, "depends_on", texts_to_json(meta->depends_on, meta->depends_on_count));
	(void)json_object_set_new(root, "hot_path",
				  meta->hot_all ? json_true() : texts_to_json(meta->hot_path, meta->hot_path_count));
	(void)json_object_set_new(root, "transaction", json_boolean(meta->transaction));
	(void)json_object_set_new(root, "data", json_boolean(meta->data));
	(void)json_object_set_new(root, "skip", meta->skip ? json_string(meta->skip) : json_false());
	(void)json_object_set_new(root, "reversible", json_boolean(meta->reversible));
	if (meta->lock_timeout_ns >= 0)
		(void)json_object_set_new(
			root, "lock_timeout",
			json_sprintf("%lldms", (long long)((meta->lock_timeout_ns + NS_PER_MS - 1) / NS_PER_MS)));
	if (meta->retries >= 0)
		(void)json_object_set_new(root, "retries", json_integer(meta->retries));
	int rc = json_file_save(path, root, err);
	json_decref(root);
	return rc;
}
