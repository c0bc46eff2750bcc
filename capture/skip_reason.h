/*
 * Why a log record is in no item. Every record is in an item or under exactly one of these; the names are keys of
 * create-replay's JSON ("skipped") and never change.
 */
#ifndef SKIP_REASON_H
#define SKIP_REASON_H

enum skip_reason {
	SKIP_NONE,
	/* these five are always shown */
	SKIP_COPY,	/* COPY FROM STDIN, TO STDOUT: the log has no data */
	SKIP_FASTPATH,	/* a fast-path function call: the log has no arguments */
	SKIP_TRUNCATED, /* parameters cut by log_parameter_max_length */
	SKIP_UNPARSED,	/* bytes that are no record */
	SKIP_FILTERED,	/* --include, --exclude */
	/* parts of an item that another record is */
	SKIP_PARSE,
	SKIP_BIND,
	SKIP_FETCH,	    /* execute fetch from: a portal's next rows */
	SKIP_DURATION,	    /* a duration of its own record */
	SKIP_ERROR_OF_ITEM, /* the error that an item ended with */
	/* statements that cannot be replayed, and errors without a statement */
	SKIP_NO_PARAMETERS, /* a statement with $1 whose values are not in the log */
	SKIP_ERROR_WITHOUT_STATEMENT,
	SKIP_FATAL, /* the server ended a session that was doing nothing */
	SKIP_FAILED_LOGIN,
	/* nothing that a client did */
	SKIP_CONNECTION_RECEIVED,
	SKIP_CONNECTION_AUTHENTICATED,
	SKIP_REPLICATION,
	SKIP_BACKGROUND, /* the server's own processes, parallel workers too */
	SKIP_FORGED,	 /* looks like a statement, but a function wrote it */
	SKIP_AUTO_EXPLAIN,
	SKIP_PGAUDIT,
	SKIP_LOCK_WAIT,
	SKIP_TEMPORARY_FILE,
	SKIP_CONNECTION_LOST,
	SKIP_NOTICE, /* WARNING, NOTICE, INFO, DEBUG */
	SKIP_OTHER_LOG,
	SKIP_UNKNOWN_SEVERITY, /* lc_messages is not English: words that are not known, or are known as translations */
	SKIP_OUTSIDE_SESSION,  /* behind the end of its session */
	SKIP_DUPLICATE,	       /* the same record is in another file */
	SKIP_REASON_COUNT
};

/* "copy", "fastpath", … */
const char *skip_reason_name(enum skip_reason reason);

#endif
