/*
 * A traced migration's ledger as a command prints it: the table for people, one object for programs, and the exit code
 * that says how the migration ended.
 */
#ifndef TRACE_REPORT_H
#define TRACE_REPORT_H

#include "command.h"
#include "ledger.h"

/*
 * Prints it. Returns the exit code: 0 the migration went through, 1 a statement or its tool failed or took too long, 2
 * that cannot be told. A migration that was interrupted is -ERR_INTERRUPTED, once what was traced is printed. extra, an
 * object or NULL, is put into the printed one. whole_sql: statements are shown in full.
 */
int trace_report(const struct command_call *call, const struct ledger *ledger, json_t *extra, bool whole_sql,
		 struct error *err);

#endif
