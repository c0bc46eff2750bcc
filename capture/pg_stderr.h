/*
 * PostgreSQL's stderr log, with whatever log_line_prefix. Each record is a line of prefix, severity and message, with
 * DETAIL, CONTEXT, STATEMENT and others as lines of their own under the same prefix; a line end inside any of them is
 * followed by a tab, so a line that begins with the prefix is the server's, whatever a literal holds. Source:
 * send_message_to_server_log() and append_with_tabs() of src/backend/utils/error/elog.c.
 *
 * Stamps of one second (%t) say no order: the records of one second are spread over it in the order of the log, which
 * takes looking ahead to its end. log_record's uncertainty_ns tells.
 */
#ifndef PG_STDERR_H
#define PG_STDERR_H

#include "log_format.h"

/* A format for logs of that prefix, to be freed with pg_stderr_free(). ERR_USAGE for a prefix that will not do. */
int pg_stderr_new(const char *log_line_prefix, struct log_format **out, struct error *err);
void pg_stderr_free(struct log_format *format);

/*
 * The SQLSTATE of an error whose log has no codes, where the message is one that only the server writes; "" where it
 * cannot be told.
 */
const char *pg_stderr_guess_sqlstate(struct span message, struct span context);

#endif
