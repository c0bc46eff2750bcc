/*
 * The item index of a run directory ("items.idx"): for each ordinal what both lanes have in common, so that a run can
 * be judged without the replay file and without a literal. Kind "RIDX" of chunk_file.h: pages of ITEM_INDEX_PAGE rows
 * by ordinal, then the tables of fingerprints, sessions and sources.
 */
#ifndef ITEM_INDEX_H
#define ITEM_INDEX_H

#include "error.h"
#include "replay_file.h"

#include <stdint.h>

#define ITEM_INDEX_FILE "items.idx"
#define ITEM_INDEX_PAGE 65536U

struct item_index_row {
	int64_t due_ns;		     /* intended time `a`, from the run's start, at the run's speed */
	int64_t capture_duration_ns; /* -1 when the log did not say */
	uint32_t session;
	uint32_t fingerprint;	   /* row of the fingerprint table; ITEM_NO_TEXT for connect, cancel, disconnect */
	uint32_t capture_sqlstate; /* sqlstate.h */
	uint32_t source_file;
	uint64_t source_line;
	uint8_t kind;  /* enum item_kind */
	uint8_t flags; /* enum item_flag */
};

struct item_fingerprint {
	uint64_t hash;
	const char *text; /* normalised */
};

struct item_session {
	const char *user;
	const char *database;
	const char *application;
};

struct item_index_writer;
int item_index_writer_open(const char *path, struct item_index_writer **out, struct error *err);
/* Rows come in order of ordinal, from 0. */
int item_index_writer_add(struct item_index_writer *writer, const struct item_index_row *row, struct error *err);
/* The row of a fingerprint, added when it is new. */
uint32_t item_index_writer_fingerprint(struct item_index_writer *writer, uint64_t hash, struct span text);
/* Takes sessions and sources from the replay file, writes and renames. Frees the writer whatever the result. */
int item_index_writer_commit(struct item_index_writer *writer, const struct replay_file *file, struct error *err);
void item_index_writer_abort(struct item_index_writer *writer);

struct item_index;
int item_index_open(const char *path, struct item_index **out, struct error *err);
void item_index_free(struct item_index *index);
uint64_t item_index_count(const struct item_index *index);
uint32_t item_index_fingerprint_count(const struct item_index *index);
const struct item_fingerprint *item_index_fingerprint(const struct item_index *index, uint32_t row);
uint32_t item_index_session_count(const struct item_index *index);
const struct item_session *item_index_session(const struct item_index *index, uint32_t row);
uint32_t item_index_source_count(const struct item_index *index);
const char *item_index_source(const struct item_index *index, uint32_t row);
/* Reads page `page` (ordinals from page * ITEM_INDEX_PAGE) into rows[ITEM_INDEX_PAGE]; *count says how many there are.
 */
int item_index_read_page(struct item_index *index, uint32_t page, struct item_index_row *rows, uint32_t *count,
			 struct error *err);

#endif
