/*
 * Telling a chat or a webhook the verdict: one POST of a JSON body by libcurl. The address is a secret (who knows it
 * can post), so it appears in no message, and what goes wrong is said without it. It is sent to that host alone: over
 * TLS, in the clear only to this machine; a redirect is not followed.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "error.h"
#include "options.h"
#include "verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The options that report and test-migration share. */
struct notify_args {
	const char *url;
	bool required;
	const char *link;
};

#define NOTIFY_ARG_ROWS(args)                                                                                        \
	OPT_STRING(0, "notify", &(args).url, "URL",                                                                  \
		   "post the verdict to this webhook (Slack's form); better given as REHEARSE_NOTIFY: it is secret", \
		   .attributes = OPTION_SECRET),                                                                     \
		OPT_FLAG(0, "notify-required", &(args).required,                                                     \
			 "fail with 69 when the verdict could not be posted, rather than warn"),                     \
		OPT_STRING(0, "link", &(args).link, "URL", "where others can open the HTML report, for messages")

/* What can be known to be wrong with the address before any work: ERR_USAGE. */
int notify_check(const struct notify_args *args, struct error *err);
/*
 * Posts the verdict; without an address nothing. What goes wrong is a warning; with --notify-required it is
 * ERR_UNAVAILABLE.
 */
int notify_verdict(const struct notify_args *args, const struct verdict *verdict, struct error *err);
/* Posts that there is no verdict, and why: whoever waits for a message gets one. Warns at most. */
void notify_failure(const struct notify_args *args, const char *what, const char *why);

struct notify_request {
	const char *url;
	const char *body;
	size_t body_len;
	int tries;			/* at most */
	int64_t backoff_ns;		/* before the second try; doubled for each further one */
	int64_t timeout_ns;		/* of a try, with its connect */
	const volatile bool *cancelled; /* ends it, NULL for none */
};

/*
 * One message. Tried again when nothing answered in time, and after 408, 429 and 5xx (as late as Retry-After asks, up
 * to 30 s); any other answer but 2xx is final. ERR_UNAVAILABLE says what the last try met with, ERR_INTERRUPTED.
 */
int notify_post(const struct notify_request *request, struct error *err);

#endif
