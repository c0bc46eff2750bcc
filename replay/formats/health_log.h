/*
 * What the health sampler saw on one lane ("health.baseline", "health.migrating"): kind "HLTH" of chunk_file.h, so that
 * a file that was cut or changed is refused. Three things are in it:
 *
 * - series: whole numbers over time, a name (health_series.h) and, for those of which there are several, a key: a wait
 *   event, a table, a slot. A sample holds what was measured at that moment and nothing else: a series that is missing
 *   from a sample was not asked then, or was not known. Keyed series leave out their zeros.
 * - looks at the sessions, several a second: which backends were active at a moment, and what each waited for.
 * `compare` says whose statements they were.
 * - activities: what the server was busy with for a while: a vacuum, a checkpoint, a backup, an index build, with its
 *   phases.
 * - gaps, in which the sampler was blind, and notes, which say why a group of series is not known.
 *
 * Names of tables, indexes, slots and wait events are all the text there is: never a statement, never a value.
 */
#ifndef HEALTH_LOG_H
#define HEALTH_LOG_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEALTH_LOG_BASELINE  "health.baseline"
#define HEALTH_LOG_MIGRATING "health.migrating"

#define HEALTH_SERIES_MAX     4096
#define HEALTH_ACTIVITIES_MAX 10000
#define HEALTH_PHASES_MAX     64
#define HEALTH_GAPS_MAX	      10000
#define HEALTH_NO_SERIES      UINT32_MAX
#define HEALTH_EVENTS_MAX     1024
#define HEALTH_LOOK_MAX	      4096 /* active processes in one look */
#define HEALTH_NO_EVENT	      UINT32_MAX

struct health_series {
	char name[48];
	char key[260]; /* "" for a series of which there is one */
};

struct health_value {
	uint32_t series;
	int64_t value;
};

struct health_sample {
	int64_t time_ns; /* from the run's start, when the first question was sent */
	size_t count;
	const struct health_value *values; /* by series; valid until the next sample */
};

/* A process that was active: a session's backend, or a parallel worker, which goes by its leader's pid. */
struct health_active {
	int32_t pid;
	uint32_t event; /* row of the log's events */
};

/* What was true at some moment between asking and the answer, from the run's start, to a microsecond. */
struct health_look {
	int64_t asked_ns;
	int64_t answered_ns;
	size_t count;
	const struct health_active *active; /* by pid; valid until the next look */
};

struct health_event {
	char name[132]; /* "Lock:relation"; "CPU" for those that wait for nothing that the server knows of */
};

enum health_activity_kind {
	HEALTH_AUTOVACUUM,
	HEALTH_AUTOANALYZE,
	HEALTH_VACUUM,
	HEALTH_ANALYZE,
	HEALTH_CHECKPOINT,
	HEALTH_BACKUP,
	HEALTH_CREATE_INDEX,
	HEALTH_REWRITE, /* CLUSTER, VACUUM FULL */
	HEALTH_COPY,
	HEALTH_ACTIVITY_KINDS
};
/* "autovacuum", … as in verdict.json. */
const char *health_activity_name(enum health_activity_kind kind);

struct health_phase {
	char name[64]; /* as the server's progress view says it */
	int64_t start_ns;
	int64_t end_ns; /* last sample that still showed it */
	int64_t done;	/* blocks, tuples, bytes or lockers, whatever the phase counts; -1: it counts nothing */
	int64_t total;
};

struct health_activity {
	enum health_activity_kind kind;
	int32_t pid;	    /* 0 where there is none to be seen */
	char relation[260]; /* "schema.name", "" when it is about no table */
	char index[260];    /* … of the index that is built, where the server says */
	char command[64];   /* "CREATE INDEX CONCURRENTLY", "timed", "requested" … */
	int64_t start_ns;   /* first sample that showed it; a checkpoint's is reckoned back from its length */
	int64_t end_ns;	    /* last one */
	bool open;	    /* it was still there at the last sample */
	struct health_phase *phases;
	size_t phase_count;
};

struct health_gap {
	int64_t start_ns;
	int64_t end_ns;
};

struct health_note {
	char group[32];	  /* "activity", "wal", "process" … (docs/health.md) */
	char reason[200]; /* one line, without values */
	uint64_t samples; /* how many were without it */
};

/* Writing: samples go to disk as they come; the rest is small. */
struct health_log_writer;
int health_log_writer_open(const char *path, const char *lane, int64_t interval_ns, struct health_log_writer **out,
			   struct error *err);
/* The number of a series, a new one if need be; HEALTH_NO_SERIES when there are too many, which is counted. */
uint32_t health_log_writer_series(struct health_log_writer *writer, const char *name, const char *key);
/* One sample: begin, any number of sets (the last one of a series counts), end. Times may not go back. */
void health_log_writer_begin(struct health_log_writer *writer, int64_t time_ns);
void health_log_writer_set(struct health_log_writer *writer, uint32_t series, int64_t value);
int health_log_writer_end(struct health_log_writer *writer, struct error *err);

/* The number of a wait event; HEALTH_NO_EVENT when there are too many: those processes are counted as lost. */
uint32_t health_log_writer_event(struct health_log_writer *writer, const char *name);
/* One look, at any time, also between begin and end; sorts active[]. Looks come in the order of their asking. */
int health_log_writer_look(struct health_log_writer *writer, int64_t asked_ns, int64_t answered_ns,
			   struct health_active *active, size_t count, struct error *err);
/* More were active than a look holds. */
void health_log_writer_lose(struct health_log_writer *writer, uint64_t processes);

struct health_log_rest {
	const struct health_activity *activities;
	size_t activity_count;
	uint64_t activities_lost; /* beyond HEALTH_ACTIVITIES_MAX */
	const struct health_gap *gaps;
	size_t gap_count;
	const struct health_note *notes;
	size_t note_count;
};
/* Writes what else there is, and finishes; frees the writer whatever the result. */
int health_log_writer_commit(struct health_log_writer *writer, const struct health_log_rest *rest, struct error *err);
void health_log_writer_abort(struct health_log_writer *writer);

/* Reading: everything but the samples is in memory. */
struct chunk_reader;
struct health_log {
	char lane[32];
	int64_t interval_ns;
	uint64_t samples;
	int64_t start_ns; /* of the first and the last sample; 0 and 0 without one */
	int64_t end_ns;
	uint64_t series_lost; /* series beyond HEALTH_SERIES_MAX */
	uint64_t activities_lost;
	bool has_looks; /* false: a file of version 1, from before sessions were looked at */
	uint64_t looks;
	uint64_t active_lost; /* processes beyond HEALTH_LOOK_MAX, or in wait events beyond HEALTH_EVENTS_MAX */
	struct health_event *events;
	size_t event_count;
	struct health_series *series;
	size_t series_count;
	struct health_activity *activities;
	size_t activity_count;
	struct health_gap *gaps;
	size_t gap_count;
	struct health_note *notes;
	size_t note_count;
	struct health_cursor *cursor; /* the reader's own */
};

/* ERR_DATA when the file is not a health log, was cut or changed. */
int health_log_open(const char *path, struct health_log **out, struct error *err);
/* 1 and the next sample in *sample, 0 at the end. */
int health_log_next(struct health_log *log, struct health_sample *sample, struct error *err);
/* The same of looks: a walk of its own. */
int health_log_next_look(struct health_log *log, struct health_look *look, struct error *err);
/* Both walks begin anew. */
void health_log_rewind(struct health_log *log);
/* HEALTH_NO_SERIES when there is none of that name and key. */
uint32_t health_log_find(const struct health_log *log, const char *name, const char *key);
void health_log_free(struct health_log *log);

#endif
