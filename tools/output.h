/*
 * The only functions that print. Results go to stdout: text for people, or with --json one object for programs. All
 * else (messages, progress, errors) goes to stderr, also what library code says through base/logging.h.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Once, before anything is printed; becomes logging.h's sink. quiet keeps warnings, verbose adds debug messages. */
void output_init(const char *command, bool json, bool quiet, bool verbose);
/* Flushes; false when stdout could not be written (a full disk). A reader who had enough (`| head`) is no error. */
bool output_finish(void);
/* Nobody reads stdout any more: what prints much may stop. */
bool output_hung_up(void);

/* Result for people, to stdout, no line end added. With --json nothing: the object says it. */
void output_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with a whole text that is no format. */
void output_string(const char *text);
/* Result for programs, to stdout, at most once a run; without --json nothing. Does not take the reference. */
void output_json(const json_t *object);
/* A message about what goes on, to stderr; silent with --quiet. A line end is added. */
void output_message(const char *format, ...) __attribute__((format(printf, 1, 2)));
void output_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "rehearse: COMMAND: text", one line. */
void output_error(const struct error *err);

/*
 * Progress of a long job, from any thread. On a terminal a bar with rate and time left, once the job has taken a
 * second; elsewhere a line every ten seconds; with --quiet nothing. One job at a time.
 */
/* unit is what is counted ("MB", "items"); values are divided by unit_size for display. */
void output_progress_begin(const char *what, const char *unit, double unit_size);
/* total 0 or less: not known. Cheap enough to be called often: it draws ten times a second at most. */
void output_progress(int64_t done, int64_t total);
/*
 * Lines to stand below the bar from its next drawing on (at most six, parted by line ends; "" for none); where stderr
 * is no terminal they follow in the same line.
 */
void output_progress_detail(const char *lines);
void output_progress_end(void);

#endif
