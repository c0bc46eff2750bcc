/*
 * The folder with the migrations: a folder for each, "ID" or "ID-some-words", with meta.json, up.sql and, if there is a
 * way back, down.sql. No file lists them all, so two branches that each add one have nothing to conflict about.
 *
 * Loading checks all that can be known without a server. What is wrong is an error; what is only unwise is a note.
 */
#ifndef WORKFLOW_FOLDER_H
#define WORKFLOW_FOLDER_H

#include "error.h"
#include "migration.h"
#include "workflow_graph.h"
#include "workflow_meta.h"

#include <stdbool.h>
#include <stddef.h>

#define WORKFLOW_MIGRATIONS_MAX	 100000
#define WORKFLOW_UP_FILE	 "up.sql"
#define WORKFLOW_DOWN_FILE	 "down.sql"
#define WORKFLOW_CHECKSUM_LENGTH 32

struct workflow_migration {
	struct workflow_meta meta;
	char *folder; /* "migrations/325aeb43-add-status" */
	char *up_path;
	char *down_path;
	struct migration up;			     /* no statements: none are written yet */
	struct migration down;			     /* no statements: none are written, or there is no way back */
	char checksum[WORKFLOW_CHECKSUM_LENGTH + 1]; /* XXH3 (128 bits) of up.sql's bytes: `xxhsum -H2` says the same */
	bool amends_data;			     /* up.sql has a statement that does */
};

struct workflow_folder {
	char *path;
	struct workflow_migration *migrations; /* sorted by id */
	size_t count;
	char **notes; /* one line each, with the file in front */
	size_t note_count;
	size_t note_capacity;
};

/*
 * Reads all of it; *folder is to be released whatever the result. A folder that is not there or holds no migration is
 * fine when `may_be_empty`, else ERR_DATA, as is everything in it that makes no sense.
 */
int workflow_folder_load(const char *path, bool may_be_empty, struct workflow_folder *folder, struct error *err);
void workflow_folder_release(struct workflow_folder *folder);
/* The graph of it; workflow_graph_build() says the rest. */
int workflow_folder_graph(const struct workflow_folder *folder, bool (*known)(void *context, const char *id),
			  void *context, struct workflow_graph *graph, struct error *err);
/* The index of an id, SIZE_MAX when it is not there. */
size_t workflow_folder_find(const struct workflow_folder *folder, const char *id);
/* As a user writes it: an id, or its first digits (4 at least) when only one begins so. ERR_USAGE else. */
int workflow_folder_lookup(const struct workflow_folder *folder, const char *word, size_t *out, struct error *err);

/*
 * Makes a migration's folder with its three files, and the folder above when it is not there: under a temporary name
 * first, so that it is there whole or not at all. meta->id is chosen here. *made gets its folder, to be freed.
 */
int workflow_folder_add(const struct workflow_folder *folder, struct workflow_meta *meta, char **made,
			struct error *err);

#endif
