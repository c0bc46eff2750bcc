/* The folder with the migrations: see workflow_folder.h. */
#include "workflow_folder.h"

#include "mem.h"
#include "out_file.h"
#include "span.h"
#include "sql_lexer.h"
#include "workflow_check.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define SLUG_MAX   50 /* of the title, in the folder's name */
#define NEW_ID_MAX 16 /* attempts at an id that nobody has: one is enough but for a broken source of random numbers */

static void migration_free_parts(struct workflow_migration *migration)
{
	workflow_meta_release(&migration->meta);
	free(migration->folder);
	free(migration->up_path);
	free(migration->down_path);
	migration_release(&migration->up);
	migration_release(&migration->down);
}

void workflow_folder_release(struct workflow_folder *folder)
{
	for (size_t i = 0; i < folder->count; i++)
		migration_free_parts(&folder->migrations[i]);
	for (size_t i = 0; i < folder->note_count; i++)
		free(folder->notes[i]);
	free(folder->migrations);
	free(folder->notes);
	free(folder->path);
	memset(folder, 0, sizeof(*folder));
}

/* Whether the file's text holds a statement: one with comments alone is not written yet. */
static bool has_statement(const struct migration *sql)
{
	struct span statement, script = {sql->files[0].text, sql->files[0].len};
	size_t pos = 0;
	return sql_script_next(SQL_POSTGRESQL, script, &pos, &statement);
}

/* A file that is not there is fine when it need not be; one without statements leaves *sql without any. */
static int load_sql(const char *path, bool needed, struct migration *sql, struct error *err)
{
	struct stat st;
	migration_init(sql);
	if (stat(path, &st) != 0)
		return needed || errno != ENOENT ? error_set_errno(err, ERR_DATA, "%s: cannot open", path) : 0;
	if (S_ISREG(st.st_mode) && st.st_size == 0)
		return 0;
	int rc = migration_add_file(sql, path, err);
	if (rc == -ERR_DATA && sql->file_count == 1 && sql->statement_count == 0 && !has_statement(sql)) {
		error_clear(err);
		rc = 0;
	}
	return rc;
}

static void make_checksum(struct workflow_migration *migration)
{
	static const char digits[] = "0123456789abcdef";
	const struct migration_file *file = migration->up.file_count ? migration->up.files : NULL;
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits(file ? file->text : "", file ? file->len : 0));
	for (size_t i = 0; i < sizeof(canonical.digest); i++) {
		migration->checksum[2 * i] = digits[canonical.digest[i] >> 4];
		migration->checksum[2 * i + 1] = digits[canonical.digest[i] & 15];
	}
	migration->checksum[WORKFLOW_CHECKSUM_LENGTH] = '\0';
}

static bool name_has_id(const char *name, const char *id)
{
	char after = name[strnlen(name, WORKFLOW_ID_LEN)];
	return strncmp(name, id, WORKFLOW_ID_LEN) == 0 && (after == '\0' || after == '-' || after == '_');
}

static int load_migration(struct workflow_migration *migration, const char *name, struct error *err)
{
	char *meta_path = mem_printf("%s/%s", migration->folder, WORKFLOW_META_FILE);
	migration->up_path = mem_printf("%s/%s", migration->folder, WORKFLOW_UP_FILE);
	migration->down_path = mem_printf("%s/%s", migration->folder, WORKFLOW_DOWN_FILE);
	int rc = workflow_meta_load(meta_path, &migration->meta, err);
	free(meta_path);
	if (rc == 0 && !name_has_id(name, migration->meta.id))
		rc = error_set(err, ERR_DATA, "%s: has the id %s in its meta.json, and another name", migration->folder,
			       migration->meta.id);
	if (rc == 0)
		rc = load_sql(migration->up_path, true, &migration->up, err);
	if (rc == 0)
		rc = load_sql(migration->down_path, false, &migration->down, err);
	if (rc == 0)
		make_checksum(migration);
	return rc;
}

static bool is_folder(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A folder counts as a migration when its name begins like one or when it has a meta file: neither is overlooked. */
static bool is_migration(const char *path, const char *name)
{
	char id[WORKFLOW_ID_LEN + 1];
	(void)snprintf(id, sizeof(id), "%s", name);
	if (workflow_id_is_valid(id) && name_has_id(name, id))
		return true;
	char *meta_path = mem_printf("%s/%s", path, WORKFLOW_META_FILE);
	bool there = access(meta_path, F_OK) == 0;
	free(meta_path);
	return there;
}

static int load_entry(struct workflow_folder *folder, size_t *capacity, const char *name, struct error *err)
{
	char *path = mem_printf("%s/%s", folder->path, name);
	size_t len = strlen(name);
	bool sql = len > 4 && strcmp(name + len - 4, ".sql") == 0;
	int rc = 0;
	if (!is_folder(path)) {
		if (sql)
			workflow_check_note(folder, "%s: is in no migration's folder: not looked at", path);
	} else if (!is_migration(path, name)) {
		workflow_check_note(folder, "%s: is no migration: not looked at", path);
	} else if (folder->count == WORKFLOW_MIGRATIONS_MAX) {
		rc = error_set(err, ERR_DATA, "%s: holds more than %d migrations", folder->path,
			       WORKFLOW_MIGRATIONS_MAX);
	} else {
		MEM_GROW(folder->migrations, folder->count, *capacity);
		struct workflow_migration *migration = &folder->migrations[folder->count++];
		memset(migration, 0, sizeof(*migration));
		workflow_meta_init(&migration->meta);
		migration->folder = path;
		return load_migration(migration, name, err);
	}
	free(path);
	return rc;
}

static int by_id(const void *left, const void *right)
{
	const struct workflow_migration *a = left, *b = right;
	int order = strcmp(a->meta.id, b->meta.id);
	return order ? order : strcmp(a->folder, b->folder);
}

static int skip_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int load_entries(struct workflow_folder *folder, struct error *err)
{
	struct dirent **entries = NULL;
	size_t capacity = 0;
	int rc = 0, count = scandir(folder->path, &entries, skip_hidden, alphasort);
	if (count < 0)
		return error_set_errno(err, ERR_DATA, "%s: cannot be read", folder->path);
	for (int i = 0; i < count; i++) {
		if (rc == 0)
			rc = load_entry(folder, &capacity, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

int workflow_folder_load(const char *path, bool may_be_empty, struct workflow_folder *folder, struct error *err)
{
	memset(folder, 0, sizeof(*folder));
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	folder->path = mem_strndup(path, len);
	struct stat st;
	if (stat(folder->path, &st) != 0) {
		if (errno == ENOENT && may_be_empty)
			return 0;
		return error_set_errno(err, ERR_DATA, "%s: no folder of migrations", folder->path);
	}
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ERR_DATA, "%s: is not a folder", folder->path);
	int rc = load_entries(folder, err);
	if (rc)
		return rc;
	if (folder->count == 0 && !may_be_empty)
		return error_set(err, ERR_DATA, "%s: holds no migration; 'migrate new' makes one", folder->path);
	if (folder->count > 1)
		qsort(folder->migrations, folder->count, sizeof(*folder->migrations), by_id);
	for (size_t i = 0; i < folder->count && rc == 0; i++)
		rc = workflow_check_migration(folder, &folder->migrations[i], err);
	return rc;
}

int workflow_folder_graph(const struct workflow_folder *folder, bool (*known)(void *context, const char *id),
			  void *context, struct workflow_graph *graph, struct error *err)
{
	struct workflow_node *nodes = mem_zalloc(folder->count + 1, sizeof(*nodes));
	for (size_t i = 0; i < folder->count; i++) {
		const struct workflow_migration *migration = &folder->migrations[i];
		nodes[i] = (struct workflow_node){.id = migration->meta.id,
						  .depends_on = migration->meta.depends_on,
						  .depends_on_count = migration->meta.depends_on_count,
						  .place = migration->folder};
	}
	int rc = workflow_graph_build(graph, nodes, folder->count, known, context, err);
	free(nodes);
	return rc;
}

/* The first migration whose id is not below the word. */
static size_t lower_bound(const struct workflow_folder *folder, const char *word)
{
	size_t low = 0, high = folder->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(folder->migrations[middle].meta.id, word) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t workflow_folder_find(const struct workflow_folder *folder, const char *id)
{
	size_t at = lower_bound(folder, id);
	return at < folder->count && strcmp(folder->migrations[at].meta.id, id) == 0 ? at : SIZE_MAX;
}

int workflow_folder_lookup(const struct workflow_folder *folder, const char *word, size_t *out, struct error *err)
{
	size_t len = strlen(word);
	if (len < 4 || len > WORKFLOW_ID_LEN || strspn(word, "0123456789abcdef") != len)
		return error_set(err, ERR_USAGE, "'%.40s' is no migration's id: 8 hex digits, or the first of them",
				 word);
	size_t at = lower_bound(folder, word);
	if (at >= folder->count || strncmp(folder->migrations[at].meta.id, word, len) != 0)
		return error_set(err, ERR_USAGE, "%s has no migration %s", folder->path, word);
	if (at + 1 < folder->count && strncmp(folder->migrations[at + 1].meta.id, word, len) == 0)
		return error_set(err, ERR_USAGE, "%s begins several ids: %s, %s", word, folder->migrations[at].meta.id,
				 folder->migrations[at + 1].meta.id);
	*out = at;
	return 0;
}

/* "Add orders.status!" becomes "add-orders-status". */
static void make_slug(const char *title, char out[SLUG_MAX + 1])
{
	size_t len = 0;
	for (const char *p = title; *p && len < SLUG_MAX; p++) {
		char c = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[len++] = c;
		else if (len > 0 && out[len - 1] != '-')
			out[len++] = '-';
	}
	while (len > 0 && out[len - 1] == '-')
		len--;
	out[len] = '\0';
}

static int write_text(const char *folder, const char *name, const char *text, struct error *err)
{
	char *path = mem_printf("%s/%s", folder, name);
	int rc = out_file_save(path, text, strlen(text), err);
	if (rc == 0 && chmod(path, 0644) != 0) /* for a repository, not for recorded statements */
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot be made readable", path);
	free(path);
	return rc;
}

static int write_files(const char *folder, const struct workflow_meta *meta, struct error *err)
{
	char *path = mem_printf("%s/%s", folder, WORKFLOW_META_FILE);
	char *up = mem_printf("-- %s\n", meta->title);
	char *down = mem_printf("-- Takes back: %s\n", meta->title);
	int rc = workflow_meta_save(path, meta, err);
	if (rc == 0 && chmod(path, 0644) != 0)
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot be made readable", path);
	if (rc == 0)
		rc = write_text(folder, WORKFLOW_UP_FILE, up, err);
	if (rc == 0 && meta->reversible)
		rc = write_text(folder, WORKFLOW_DOWN_FILE, down, err);
	free(path);
	free(up);
	free(down);
	return rc;
}

static void remove_files(const char *folder)
{
	static const char *const names[] = {WORKFLOW_META_FILE, WORKFLOW_UP_FILE, WORKFLOW_DOWN_FILE};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *path = mem_printf("%s/%s", folder, names[i]);
		(void)unlink(path);
		free(path);
	}
	(void)rmdir(folder);
}

/* Folders for a repository, whatever our umask says: it is that of a program that writes recorded statements. */
static int make_folder(const char *path, struct error *err)
{
	if (mkdir(path, 0755) != 0)
		return error_set_errno(err, errno == EEXIST ? ERR_DATA : ERR_INTERNAL, "%s: cannot be made", path);
	if (chmod(path, 0755) != 0)
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot be made readable", path);
	return 0;
}

static int choose_id(const struct workflow_folder *folder, struct workflow_meta *meta, struct error *err)
{
	for (int i = 0; i < NEW_ID_MAX; i++) {
		int rc = workflow_id_make(meta->id, err);
		if (rc || workflow_folder_find(folder, meta->id) == SIZE_MAX)
			return rc;
	}
	return error_set(err, ERR_INTERNAL, "no id that is free was found");
}

int workflow_folder_add(const struct workflow_folder *folder, struct workflow_meta *meta, char **made,
			struct error *err)
{
	char slug[SLUG_MAX + 1];
	int rc = choose_id(folder, meta, err);
	if (rc)
		return rc;
	if (access(folder->path, F_OK) != 0 && (rc = make_folder(folder->path, err)) != 0)
		return rc;
	make_slug(meta->title, slug);
	char *temporary = mem_printf("%s/.new-%s", folder->path, meta->id); /* hidden: not looked at */
	char *path = mem_printf("%s/%s%s%s", folder->path, meta->id, *slug ? "-" : "", slug);
	rc = make_folder(temporary, err);
	if (rc == 0) {
		rc = write_files(temporary, meta, err);
		if (rc == 0 && rename(temporary, path) != 0)
			rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot be made", path);
		if (rc)
			remove_files(temporary);
	}
	free(temporary);
	if (rc == 0)
		*made = path;
	else
		free(path);
	return rc;
}
