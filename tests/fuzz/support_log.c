/* Any bytes as a log: see support_log.h. */
#include "support_log.h"

#include "item_sorter.h"
#include "pg_session.h"
#include "text_table.h"

#include <unistd.h>

/* In the working folder, which run.sh makes and removes. */
#define SCRATCH "fuzz_log.rpl"

static void check(bool right)
{
	if (!right)
		abort();
}

struct totals {
	uint64_t records;
	uint64_t unparsed;
	uint64_t message_bytes;
};

/* Reads all of it, giving the format `step` more bytes whenever it asks. */
static void scan_all(const struct log_format *format, const uint8_t *data, size_t size, size_t step,
		     struct pg_sessions *sessions, struct totals *totals)
{
	struct error err = ERROR_INIT;
	struct log_zone *zone;
	check(log_zone_open(NULL, &zone, &err) == 0);
	struct log_parser *parser = format->open(format, zone);
	char *buffer = NULL;
	size_t pos = 0;
	size_t len = step < size ? step : size;
	*totals = (struct totals){0};
	for (;;) {
		/* exactly what was promised, at an address of its own; made anew, because records are changed in place
		 */
		buffer = malloc(len - pos + 1);
		check(buffer != NULL);
		if (len > pos)
			memcpy(buffer, data + pos, len - pos);
		struct log_record record = {0};
		size_t used = 0;
		enum log_scan scan = format->scan(parser, buffer, len - pos, len == size, &used, &record, &err);
		check(used <= len - pos);
		if (scan == LOG_SCAN_RECORD) {
			totals->records++;
			totals->message_bytes += record.message.len + record.detail.len;
			if (sessions)
				check(pg_sessions_add(sessions, &record, &err) == 0);
		} else if (scan == LOG_SCAN_UNPARSED) {
			totals->unparsed++;
			if (sessions)
				pg_sessions_add_unparsed(sessions, &record);
		}
		free(buffer);
		if (scan == LOG_SCAN_END || scan == LOG_SCAN_FAILED)
			break;
		if (scan == LOG_SCAN_MORE) {
			check(len < size);
			len = len + step < size ? len + step : size;
		} else {
			check(used > 0);
			pos += used;
		}
	}
	format->free(parser);
	log_zone_free(zone);
}

static void drain(struct item_sorter *sorter, const struct pg_sessions *sessions)
{
	const struct pg_session_counts *counts = pg_sessions_counts(sessions);
	uint64_t accounted = 0;
	uint64_t all = 0;
	for (int i = 0; i < ITEM_KIND_COUNT; i++) {
		accounted += counts->items[i] - counts->inferred[i];
		all += counts->items[i];
	}
	for (int i = 0; i < SKIP_REASON_COUNT; i++)
		accounted += counts->skipped[i];
	check(accounted == counts->records);
	struct error err = ERROR_INIT;
	struct sort_head head;
	struct span body;
	int64_t last_ns = INT64_MIN;
	uint64_t n = 0;
	int rc;
	while ((rc = item_sorter_next(sorter, &head, &body, &err)) == 1) {
		check(head.time_ns >= last_ns && head.session < pg_sessions_count(sessions));
		last_ns = head.time_ns;
		n++;
	}
	check(rc == 0 && n == all);
}

void fuzz_log(const struct log_format *format, const uint8_t *data, size_t size)
{
	/* Opened anew now and then: what is never committed stays in its memory. */
	static struct replay_writer *writer;
	static unsigned runs;
	struct error err = ERROR_INIT;
	if (runs++ % 256 == 0) {
		if (writer)
			replay_writer_abort(writer);
		check(replay_writer_open(SCRATCH, &writer, &err) == 0);
	}
	struct text_table *texts = text_table_new(writer);
	struct item_sorter *sorter = item_sorter_new(SCRATCH, size % 2 ? 512 : ITEM_SORTER_MEMORY);
	struct pg_session_options options = {.texts = texts, .sorter = sorter};
	struct pg_sessions *sessions = pg_sessions_new(&options);
	struct totals whole, pieces;
	scan_all(format, data, size, size + 1, sessions, &whole);
	check(pg_sessions_finish(sessions, &err) == 0);
	drain(sorter, sessions);
	scan_all(format, data, size, size > 4096 ? 4093 : 97, NULL, &pieces);
	check(whole.records == pieces.records && whole.unparsed == pieces.unparsed &&
	      whole.message_bytes == pieces.message_bytes);
	pg_sessions_free(sessions);
	item_sorter_free(sorter);
	text_table_free(texts);
}
