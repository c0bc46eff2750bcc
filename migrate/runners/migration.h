/*
 * A migration as the team wrote it: SQL files in order, cut into statements that remember where they stand. Nothing
 * runs here; what is refused here (a missing or empty file, a psql meta-command) is refused before anything has run.
 */
#ifndef MIGRATION_H
#define MIGRATION_H

#include "error.h"
#include "span.h"

#include <stddef.h>
#include <stdint.h>

#define MIGRATION_FILE_MAX ((size_t)64 * 1024 * 1024)

struct migration_statement {
	const char *file; /* as given */
	uint32_t line;	  /* on which it begins, 1 the first */
	struct span sql;  /* without its semicolon; into the migration's memory */
};

struct migration_file {
	char *path;
	char *text;
	size_t len;
};

struct migration {
	struct migration_statement *statements;
	size_t statement_count;
	struct migration_file *files;
	size_t file_count;
};

void migration_init(struct migration *migration);
void migration_release(struct migration *migration);
/*
 * Adds a file's statements. ERR_DATA, with file and line, when it cannot be read, holds no statement, holds a NUL byte,
 * or has a psql meta-command or data of COPY … FROM STDIN (which only psql can run).
 */
int migration_add_file(struct migration *migration, const char *path, struct error *err);
/* Several files, in order; initialises *migration, which is to be released whatever the result. */
int migration_load(struct migration *migration, const char *const *paths, size_t count, struct error *err);
/* As migration_add_file(), from memory; name stands for the file. For runners that make their SQL themselves. */
int migration_add_text(struct migration *migration, const char *name, const char *text, size_t len, struct error *err);

#endif
