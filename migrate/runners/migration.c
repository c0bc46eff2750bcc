/* A migration's SQL files as statements: see migration.h. */
#include "migration.h"

#include "in_file.h"
#include "mem.h"
#include "sql_lexer.h"
#include "strbuf.h"

#include <ctype.h>

void migration_init(struct migration *migration)
{
	memset(migration, 0, sizeof(*migration));
}

void migration_release(struct migration *migration)
{
	for (size_t i = 0; i < migration->file_count; i++) {
		free(migration->files[i].path);
		free(migration->files[i].text);
	}
	free(migration->files);
	free(migration->statements);
	migration_init(migration);
}

/* Counts lines up to `at`, going on from where the last call stopped. */
struct line_counter {
	const char *text;
	size_t pos;
	uint32_t line;
};

static uint32_t line_at(struct line_counter *counter, size_t at)
{
	for (; counter->pos < at; counter->pos++)
		counter->line += counter->text[counter->pos] == '\n';
	return counter->line;
}

static bool starts_with_words(struct span sql, const char *first, const char *second)
{
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql.p, sql.len);
	const char *words[] = {first, second};
	for (size_t i = 0; i < 2 && words[i];) {
		struct sql_token token = sql_lexer_next(&lexer);
		if (token.kind == SQL_TOKEN_SPACE || token.kind == SQL_TOKEN_COMMENT)
			continue;
		if (!sql_token_is_word(&token, words[i]))
			return false;
		i++;
	}
	return true;
}

/* COPY … FROM STDIN: the data behind it is no SQL, and only psql sends it. */
static bool reads_stdin(struct span sql)
{
	if (!starts_with_words(sql, "COPY", NULL))
		return false;
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql.p, sql.len);
	bool after_from = false;
	for (;;) {
		struct sql_token token = sql_lexer_next(&lexer);
		if (token.kind == SQL_TOKEN_END)
			return false;
		if (token.kind == SQL_TOKEN_SPACE || token.kind == SQL_TOKEN_COMMENT)
			continue;
		if (after_from && sql_token_is_word(&token, "STDIN"))
			return true;
		after_from = sql_token_is_word(&token, "FROM");
	}
}

/*
 * Where a psql meta-command stands in the statement: a backslash outside of literals, names and comments. No SQL has
 * one there. Returns sql.len for none.
 */
static size_t find_meta_command(struct span sql)
{
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql.p, sql.len);
	for (;;) {
		struct sql_token token = sql_lexer_next(&lexer);
		if (token.kind == SQL_TOKEN_END)
			return sql.len;
		if (token.kind == SQL_TOKEN_PUNCTUATION && memchr(token.text.p, '\\', token.text.len))
			return (size_t)(token.text.p - sql.p);
	}
}

static size_t word_length(const char *p, size_t left)
{
	size_t n = 1; /* the backslash */
	while (n < left && (isalpha((unsigned char)p[n]) || p[n] == '_' || p[n] == '!' || p[n] == '?'))
		n++;
	return n;
}

static int check_statement(const char *path, struct line_counter *counter, struct span sql, size_t offset,
			   struct error *err)
{
	size_t meta = find_meta_command(sql);
	if (meta < sql.len) {
		struct line_counter ahead = *counter;
		return error_set(err, ERR_DATA, "%s:%u: %.*s is a command of psql, not SQL; take it out of the file",
				 path, line_at(&ahead, offset + meta), (int)word_length(sql.p + meta, sql.len - meta),
				 sql.p + meta);
	}
	if (reads_stdin(sql))
		return error_set(
			err, ERR_DATA,
			"%s:%u: COPY … FROM STDIN takes its data from psql; use INSERT or a file of the server", path,
			line_at(counter, offset));
	return 0;
}

static int cut_statements(struct migration *migration, const struct migration_file *file, struct error *err)
{
	size_t skip = file->len >= 3 && memcmp(file->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* a UTF-8 BOM */
	struct span script = {file->text + skip, file->len - skip};
	struct line_counter counter = {.text = script.p, .line = 1};
	size_t pos = 0, capacity = migration->statement_count, before = migration->statement_count;
	const char *nul = memchr(script.p, '\0', script.len);
	if (nul)
		return error_set(err, ERR_DATA, "%s:%u: a NUL byte; SQL files are text in UTF-8", file->path,
				 line_at(&counter, (size_t)(nul - script.p)));
	struct span sql;
	while (sql_script_next(SQL_POSTGRESQL, script, &pos, &sql)) {
		size_t offset = (size_t)(sql.p - script.p);
		int rc = check_statement(file->path, &counter, sql, offset, err);
		if (rc)
			return rc;
		if (migration->statement_count == capacity) {
			capacity = capacity ? capacity * 2 : 16;
			migration->statements =
				mem_realloc(migration->statements, capacity, sizeof(*migration->statements));
		}
		migration->statements[migration->statement_count++] =
			(struct migration_statement){.file = file->path, .line = line_at(&counter, offset), .sql = sql};
	}
	if (migration->statement_count == before)
		return error_set(err, ERR_DATA, "%s:1: holds no SQL statement", file->path);
	return 0;
}

int migration_add_text(struct migration *migration, const char *name, const char *text, size_t len, struct error *err)
{
	migration->files = mem_realloc(migration->files, migration->file_count + 1, sizeof(*migration->files));
	struct migration_file *file = &migration->files[migration->file_count++];
	file->path = mem_strdup(name);
	file->text = mem_alloc(len + 1);
	memcpy(file->text, text, len);
	file->text[len] = '\0';
	file->len = len;
	return cut_statements(migration, file, err);
}

int migration_add_file(struct migration *migration, const char *path, struct error *err)
{
	struct in_file *in = NULL;
	int rc = in_file_open(path, &in, err);
	if (rc)
		return rc;
	struct strbuf text;
	strbuf_init(&text, MIGRATION_FILE_MAX);
	char block[16384];
	ssize_t got;
	while ((got = in_file_read(in, block, sizeof(block), err)) > 0 && !text.overflow)
		strbuf_add(&text, block, (size_t)got);
	in_file_free(in);
	if (got < 0)
		rc = (int)got;
	else if (text.overflow)
		rc = error_set(err, ERR_DATA, "%s: larger than %zu bytes", path, MIGRATION_FILE_MAX);
	else if (text.len == 0)
		rc = error_set(err, ERR_DATA, "%s:1: the file is empty", path);
	else
		rc = migration_add_text(migration, path, text.data, text.len, err);
	strbuf_release(&text);
	return rc;
}

int migration_load(struct migration *migration, const char *const *paths, size_t count, struct error *err)
{
	migration_init(migration);
	for (size_t i = 0; i < count; i++) {
		int rc = migration_add_file(migration, paths[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
