/* Telling a chat or a webhook the verdict: see notify.h. */
#include "notify.h"

#include "clock.h"
#include "interrupt.h"
#include "json_file.h"
#include "mem.h"
#include "output.h"
#include "report_formats.h"
#include "stop_flag.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <time.h>

#define TRIES		4
#define BACKOFF_NS	NS_PER_S
#define TIMEOUT_NS	(15 * NS_PER_S)
#define RETRY_AFTER_MAX (30 * NS_PER_S)
#define ANSWER_MAX	((size_t)64 * 1024) /* of a body that nobody reads */
#define FAILURE_SHOWN	300

/* Parts of an address, to be freed with curl_free(); NULL where there is none. */
static char *part_of(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

/* Names that only begin like an address of ours (127.0.0.1.example.com) are others'. */
static bool is_this_machine(const char *host)
{
	struct in_addr address;
	if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* *local: the address is of this machine. */
static int check_url(const char *text, bool *local, struct error *err)
{
	int rc = 0;
	CURLU *url = curl_url();
	char *scheme = NULL;
	char *host = NULL;
	*local = false;
	if (!url)
		return error_set(err, ERR_INTERNAL, "--notify: out of memory");
	if (curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
		scheme = part_of(url, CURLUPART_SCHEME);
		host = part_of(url, CURLUPART_HOST);
	}
	if (!scheme || !host) {
		rc = error_set(err, ERR_USAGE, "--notify: what it was given is no URL");
	} else {
		*local = is_this_machine(host);
		if (strcmp(scheme, "https") != 0 && !(*local && strcmp(scheme, "http") == 0))
			rc = error_set(err, ERR_USAGE,
				       "--notify: the URL must begin with https:// (http:// only for this machine)");
	}
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(url);
	return rc;
}

static size_t drop_answer(char *data, size_t size, size_t count, void *context)
{
	size_t *total = context;
	(void)data;
	*total += size * count;
	return *total > ANSWER_MAX ? 0 : size * count;
}

static int look_at_flag(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return stop_flag_is_set(context);
}

struct answer {
	CURLcode code;
	long status; /* 0: none */
	int64_t retry_after_ns;
};

static void set_options(CURL *curl, const struct notify_request *request, bool local, struct curl_slist *headers,
			size_t *received)
{
	long timeout_ms = (long)(request->timeout_ns / NS_PER_MS);
	(void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, local ? "http,https" : "https");
	(void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	/* A proxy cannot reach this machine's own address. */
	if (local)
		(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	(void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "rehearse");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_answer);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, received);
	if (request->cancelled) {
		(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_at_flag);
		(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)(uintptr_t)request->cancelled);
		(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	}
}

static struct answer post_once(CURL *curl)
{
	struct answer answer = {.code = curl_easy_perform(curl)};
	curl_off_t seconds = 0;
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
	(void)curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &seconds);
	if (seconds > 0)
		answer.retry_after_ns =
			seconds > RETRY_AFTER_MAX / NS_PER_S ? RETRY_AFTER_MAX : (int64_t)seconds * NS_PER_S;
	return answer;
}

/* A status line that came counts, even where the body behind it was too long for us. */
static bool is_good(const struct answer *answer)
{
	return answer->status >= 200 && answer->status < 300;
}

static bool is_worth_a_retry(const struct answer *answer)
{
	if (answer->status == 0)
		return answer->code != CURLE_ABORTED_BY_CALLBACK && answer->code != CURLE_PEER_FAILED_VERIFICATION;
	return answer->status == 408 || answer->status == 429 || answer->status >= 500;
}

static void wait_for(int64_t wait_ns, const volatile bool *cancelled)
{
	int64_t end_ns = clock_mono_ns() + wait_ns;
	for (int64_t left; (left = end_ns - clock_mono_ns()) > 0 && !stop_flag_is_set(cancelled);) {
		int64_t nap_ns = left < 50 * NS_PER_MS ? left : 50 * NS_PER_MS;
		struct timespec nap = {.tv_nsec = (long)nap_ns};
		(void)nanosleep(&nap, NULL);
	}
}

/* libcurl's words for a code name no host; those of its error buffer do. */
static int explain(const struct answer *answer, int tries, struct error *err)
{
	const char *times = tries == 1 ? "try" : "tries";
	if (answer->status >= 300 && answer->status < 400)
		return error_set(err, ERR_UNAVAILABLE,
				 "--notify: the webhook redirects (HTTP %ld), which is not followed", answer->status);
	if (answer->status)
		return error_set(err, ERR_UNAVAILABLE, "--notify: the webhook answered HTTP %ld, %d %s", answer->status,
				 tries, times);
	return error_set(err, ERR_UNAVAILABLE, "--notify: %s, %d %s", curl_easy_strerror(answer->code), tries, times);
}

int notify_post(const struct notify_request *request, struct error *err)
{
	bool local;
	size_t received = 0;
	int rc = check_url(request->url, &local, err);
	if (rc < 0)
		return rc;
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json; charset=utf-8");
	struct curl_slist *more = curl_slist_append(headers, "Expect:");
	if (curl && more) {
		struct answer answer = {0};
		int64_t wait_ns = request->backoff_ns;
		int tries = 0;
		set_options(curl, request, local, more, &received);
		do {
			if (tries > 0) {
				wait_for(answer.retry_after_ns > wait_ns ? answer.retry_after_ns : wait_ns,
					 request->cancelled);
				wait_ns *= 2;
			}
			received = 0;
			answer = post_once(curl);
			tries++;
		} while (!is_good(&answer) && tries < request->tries && is_worth_a_retry(&answer) &&
			 !stop_flag_is_set(request->cancelled));
		if (stop_flag_is_set(request->cancelled))
			rc = error_set(err, ERR_INTERRUPTED, "--notify: interrupted");
		else if (!is_good(&answer))
			rc = explain(&answer, tries, err);
	} else {
		rc = error_set(err, ERR_INTERNAL, "--notify: libcurl cannot be used");
	}
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return rc;
}

int notify_check(const struct notify_args *args, struct error *err)
{
	bool local;
	if (!args->url && args->required)
		return error_set(err, ERR_USAGE, "--notify-required needs --notify URL");
	return args->url ? check_url(args->url, &local, err) : 0;
}

static int post(const struct notify_args *args, const char *body, size_t len, struct error *err)
{
	struct notify_request request = {.url = args->url,
					 .body = body,
					 .body_len = len,
					 .tries = TRIES,
					 .backoff_ns = BACKOFF_NS,
					 .timeout_ns = TIMEOUT_NS,
					 .cancelled = interrupt_flag()};
	return notify_post(&request, err);
}

int notify_verdict(const struct notify_args *args, const struct verdict *verdict, struct error *err)
{
	struct strbuf body;
	struct report_context context = {.link = args->link};
	struct error problem = ERROR_INIT;
	if (!args->url)
		return 0;
	int rc = report_format_make(report_format_find("slack"), verdict, &context, &body, &problem);
	if (rc == 0)
		rc = post(args, body.data, body.len, &problem);
	strbuf_release(&body);
	if (rc == 0)
		return 0;
	if (args->required) {
		*err = problem;
		return -err->code;
	}
	output_warning("%s; the verdict stands", problem.text);
	return 0;
}

void notify_failure(const struct notify_args *args, const char *what, const char *why)
{
	struct error problem = ERROR_INIT;
	if (!args->url)
		return;
	char *text = mem_printf("Rehearse: no verdict. %s: %.*s", what, FAILURE_SHOWN, why);
	json_t *message = json_pack("{s:o}", "text", json_from_bytes(text, strlen(text)));
	char *body = json_dumps(message, JSON_COMPACT);
	if (body && post(args, body, strlen(body), &problem) < 0)
		output_warning("%s", problem.text);
	free(body);
	json_decref(message);
	free(text);
}
