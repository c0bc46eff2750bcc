/*
 * The replay file: the items of one capture in the order in which they are due, each session's own order kept, and four
 * tables that they refer to. Kind "RPLY" of chunk_file.h; docs/formats.md has the layout. The position of an item, from
 * 0, is its ordinal. Mode 0600: it holds literals.
 */
#ifndef REPLAY_FILE_H
#define REPLAY_FILE_H

#include "arena.h"
#include "error.h"
#include "item.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define REPLAY_FILE_VERSION 2
#define REPLAY_TEXTS_MAX    (1U << 20)
/* Text 0 of every file: the template of one gap, for texts that would not split or came too late for the table. */
#define REPLAY_TEXT_WHOLE 0

/* One client connection. Spans are the table's. */
struct replay_session {
	struct span user;
	struct span database;
	struct span application; /* empty when not known */
	struct span client;	 /* address as logged, without port; "[local]", or empty */
};

struct replay_text {
	struct span template_text; /* one NUL byte per literal */
	uint64_t fingerprint;	   /* 0 for REPLAY_TEXT_WHOLE: it depends on the literal */
	struct span normalized;	   /* the fingerprint's text, cut at SQL_FINGERPRINT_TEXT_MAX */
};

/* Writing. Rows get numbers in the order in which they are added, from 0 (texts from 1, after REPLAY_TEXT_WHOLE). */
struct replay_writer;

int replay_writer_open(const char *path, struct replay_writer **out, struct error *err);
/* Batches of items are deflated in threads of the writer's own. The file is the same. */
void replay_writer_use_threads(struct replay_writer *writer, unsigned threads);
uint32_t replay_writer_add_session(struct replay_writer *writer, const struct replay_session *session);
uint32_t replay_writer_add_text(struct replay_writer *writer, const struct replay_text *text);
uint32_t replay_writer_add_source(struct replay_writer *writer, const char *path);
/*
 * The next item, with time_ns as wall clock. Times may not go back; the first item's becomes the file's start.
 * ERR_INTERNAL when they do, or when a row number does not exist yet.
 */
int replay_writer_add_item(struct replay_writer *writer, const struct item *item, struct error *err);
/* The same for an item whose body (item_encode_body()) is there already; of *item only the rest is looked at. */
int replay_writer_add_coded(struct replay_writer *writer, const struct item *item, struct span body, struct error *err);
/*
 * Finishes and renames into place. `capture` is kept as the file's account of where it came from: create-replay's JSON
 * (a reference is borrowed). Frees the writer whatever the result.
 */
int replay_writer_commit(struct replay_writer *writer, const json_t *capture, struct error *err);
void replay_writer_abort(struct replay_writer *writer);

/* Reading: the tables are in memory, the items come in batches. */
struct replay_file;

int replay_file_open(const char *path, struct replay_file **out, struct error *err);
void replay_file_free(struct replay_file *file);
uint64_t replay_file_item_count(const struct replay_file *file);
/* Of that kind, from the account in the file. */
uint64_t replay_file_kind_count(const struct replay_file *file, enum item_kind kind);
/* Wall clock of the first item, and time from there to the last. 0 and 0 for a file without items. */
int64_t replay_file_start_wall_ns(const struct replay_file *file);
int64_t replay_file_span_ns(const struct replay_file *file);
uint32_t replay_file_session_count(const struct replay_file *file);
const struct replay_session *replay_file_session(const struct replay_file *file, uint32_t row);
uint32_t replay_file_text_count(const struct replay_file *file);
const struct replay_text *replay_file_text(const struct replay_file *file, uint32_t row);
uint32_t replay_file_source_count(const struct replay_file *file);
const char *replay_file_source(const struct replay_file *file, uint32_t row);
/* What the writer gave to replay_writer_commit(); borrowed. */
const json_t *replay_file_capture(const struct replay_file *file);
const char *replay_file_path(const struct replay_file *file);

/* A run of consecutive items, decoded. time_ns counts from the file's start. */
struct replay_batch {
	uint64_t first_ordinal;
	uint32_t count;
	struct item *items;
	struct arena arena;   /* items and their arrays */
	unsigned char *bytes; /* what their spans point into */
	size_t capacity;
};

uint32_t replay_file_batch_count(const struct replay_file *file);
void replay_batch_init(struct replay_batch *batch);
void replay_batch_release(struct replay_batch *batch);
/* Reads batch `index` into *batch, whose memory is used again. Safe from several threads with a batch each. */
int replay_file_read_batch(const struct replay_file *file, uint32_t index, struct replay_batch *batch,
			   struct error *err);

/* Appends the text of a simple or execute item. */
void replay_item_sql(const struct replay_file *file, const struct item *item, struct strbuf *out);
/* The item's fingerprint, computed when its text is REPLAY_TEXT_WHOLE; 0 for other kinds. normalized may be NULL. */
uint64_t replay_item_fingerprint(const struct replay_file *file, const struct item *item, struct strbuf *normalized);

#endif
