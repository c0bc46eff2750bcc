/*
 * The data of two clones compared (C7, C10): table by table and column by column, on what both have. Equal tables cost
 * one pass of the server over each; where a sum differs, or a type changed, values are compared one by one and counted
 * by class. What was not compared is said with its reason.
 */
#ifndef DATA_CHECK_H
#define DATA_CHECK_H

#include "check_results.h"
#include "check_server.h"
#include "data_tables.h"
#include "error.h"

#include <stdbool.h>

struct data_check {
	const char *before_url;
	const char *after_url;
	enum check_phase phase;
	/* How much was written on either side when counting began: what is on top of that was written by statements
	 * since. NULL: all that the server counts. */
	const struct data_tables *before_then;
	const struct data_tables *after_then;
	struct check_limits limits;
	/* May be NULL; how many tables are done, from none to all of them. */
	void (*progress)(void *context, size_t done, size_t total);
	void *progress_context;
};

/*
 * Appends to *results. ERR_UNAVAILABLE when a clone is gone, ERR_INTERRUPTED when the user wants to stop; what a clone
 * refuses to tell, or cannot tell in time, is a result.
 */
int data_check_run(const struct data_check *check, struct check_results *results, struct error *err);
/* The tables of a server and what was written so far, for before_then and after_then; to be released. */
int data_check_count(const char *url, struct data_tables *tables, struct error *err);

#endif
