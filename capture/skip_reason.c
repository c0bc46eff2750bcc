/* Names of the reasons: see skip_reason.h. */
#include "skip_reason.h"

const char *skip_reason_name(enum skip_reason reason)
{
	static const char *const names[SKIP_REASON_COUNT] = {
		[SKIP_NONE] = "none",
		[SKIP_COPY] = "copy",
		[SKIP_FASTPATH] = "fastpath",
		[SKIP_TRUNCATED] = "truncated",
		[SKIP_UNPARSED] = "unparsed",
		[SKIP_FILTERED] = "filtered",
		[SKIP_PARSE] = "parse",
		[SKIP_BIND] = "bind",
		[SKIP_FETCH] = "fetch",
		[SKIP_DURATION] = "duration",
		[SKIP_ERROR_OF_ITEM] = "error_of_item",
		[SKIP_NO_PARAMETERS] = "no_parameters",
		[SKIP_ERROR_WITHOUT_STATEMENT] = "error_without_statement",
		[SKIP_FATAL] = "fatal",
		[SKIP_FAILED_LOGIN] = "failed_login",
		[SKIP_CONNECTION_RECEIVED] = "connection_received",
		[SKIP_CONNECTION_AUTHENTICATED] = "connection_authenticated",
		[SKIP_REPLICATION] = "replication",
		[SKIP_BACKGROUND] = "background",
		[SKIP_FORGED] = "forged",
		[SKIP_AUTO_EXPLAIN] = "auto_explain",
		[SKIP_PGAUDIT] = "pgaudit",
		[SKIP_LOCK_WAIT] = "lock_wait",
		[SKIP_TEMPORARY_FILE] = "temporary_file",
		[SKIP_CONNECTION_LOST] = "connection_lost",
		[SKIP_NOTICE] = "notice",
		[SKIP_OTHER_LOG] = "other_log",
		[SKIP_UNKNOWN_SEVERITY] = "unknown_severity",
		[SKIP_OUTSIDE_SESSION] = "outside_session",
		[SKIP_DUPLICATE] = "duplicate",
	};
	return names[reason];
}
