/*
 * For tests of clones: a folder that they go to and one for their records, counted afterwards, and questions to a
 * clone.
 */
#ifndef SUPPORT_CLONE_H
#define SUPPORT_CLONE_H

#include "clone.h"

#include <stdbool.h>
#include <stddef.h>

/* Makes both, and has this process and its children keep records there. 0, or -1. */
int clone_test_begin(const char *name);
int clone_test_end(void);
/* Where the clones go. */
const char *clone_test_folder(void);
/* The records' folder. */
const char *clone_test_records(void);
/* folder/name in a buffer of its own for each of four calls in turn. */
const char *clone_test_path(const char *name);
/* Entries of a folder, hidden ones (but for . and ..) too when asked. */
size_t clone_test_count(const char *folder, bool hidden);
/* Folders and records. */
size_t clone_test_count_entries(void);
/* Programs that work in the folder or below. */
size_t clone_test_count_processes(void);
/* Fails the test unless there is no folder, no record, no draft and no process left; waits a little for the last. */
void clone_test_expect_nothing(void);

/* Fails the test on an error. */
struct clone_set *clone_test_create(const struct clone_provider *provider, const struct clone_request *request);
void clone_test_destroy(struct clone_set *set);
/* Fails the test unless the request is refused with that code, says that, and leaves nothing. */
void clone_test_refused(const struct clone_provider *provider, const struct clone_request *request, int code,
			const char *message);
/* The first value, to be freed. */
char *clone_test_ask(const char *url, const char *sql);
void clone_test_check(const char *url, const char *sql, const char *expected);

#endif
