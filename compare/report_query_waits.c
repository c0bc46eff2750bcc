/* What statements waited for, in the reports: see report_query_waits.h. */
#include "report_query_waits.h"

#include "html_text.h"
#include "query_waits.h"
#include "report_facts.h"
#include "report_parts.h"

#include <math.h>
#include <string.h>

#define STATEMENTS_MAX 30
#define EVENTS_MAX     3

static const char *const lanes[2] = {"baseline", "migrating"};
static const char *const windows[3] = {"before", "during", "after"};

static const json_t *cell_of(const json_t *query, const char *lane, const char *window)
{
	return json_object_get(json_object_get(json_object_get(query, "waits"), lane), window);
}

static bool has_shares(const json_t *cell)
{
	return html_number_of(cell, "samples") >= QUERY_WAITS_MIN;
}

/* 0 for an event that is not among the cell's first ones. */
static double share_of(const json_t *cell, const char *name)
{
	size_t i;
	const json_t *event;
	json_array_foreach (json_object_get(cell, "events"), i, event) {
		if (strcmp(html_text_of(event, "event"), name) == 0)
			return html_number_of(event, "share");
	}
	return 0;
}

static bool is_hurt(const json_t *query)
{
	return report_query_is_found(query) || html_number_of(query, "blocked_share") > 0;
}

bool report_query_waits_find(const json_t *query, struct report_wait *out)
{
	size_t i;
	const json_t *event;
	double most = -INFINITY;
	const char *window = html_text_of(query, "window");
	*out = (struct report_wait){.now = cell_of(query, "migrating", window),
				    .before = cell_of(query, "migrating", "before"),
				    .beside = cell_of(query, "baseline", window)};
	if (!has_shares(out->now))
		return false;
	json_array_foreach (json_object_get(out->now, "events"), i, event) {
		const char *name = html_text_of(event, "event");
		double before = has_shares(out->before) ? share_of(out->before, name) : 0;
		double beside = has_shares(out->beside) ? share_of(out->beside, name) : 0;
		double above = html_number_of(event, "share") - fmax(before, beside);
		if (above <= most)
			continue;
		most = above;
		out->event = name;
	}
	return out->event != NULL;
}

bool report_query_waits_is_told(const json_t *query)
{
	struct report_wait wait;
	return is_hurt(query) && report_query_waits_find(query, &wait);
}

void report_query_waits_share(const json_t *cell, const char *event, struct strbuf *out)
{
	double samples = html_number_of(cell, "samples");
	if (!json_is_object(cell))
		strbuf_add_str(out, "not known");
	else if (samples <= 0)
		strbuf_add_str(out, "no sample");
	else if (!has_shares(cell))
		strbuf_addf(out, "too few samples (%.0f)", samples);
	else
		strbuf_addf(out, "%.0f %% of %.0f", 100 * share_of(cell, event), samples);
}

static void add_cell(const json_t *cell, struct strbuf *out)
{
	size_t i;
	const json_t *event;
	strbuf_add_str(out, "<td class=\"e\">");
	if (!has_shares(cell)) {
		report_query_waits_share(cell, "", out);
		strbuf_add_str(out, "</td>");
		return;
	}
	json_array_foreach (json_object_get(cell, "events"), i, event) {
		if (i == EVENTS_MAX)
			break;
		html_add_cut(out, html_text_of(event, "event"), REPORT_CELL_MAX);
		strbuf_addf(out, " <b>%.0f %%</b><br>", 100 * html_number_of(event, "share"));
	}
	strbuf_addf(out, "<span class=\"soft\">n %.0f, %.0f execution%s</span></td>", html_number_of(cell, "samples"),
		    html_number_of(cell, "executions"), html_number_of(cell, "executions") > 1 ? "s" : "");
}

/* The same statement may be found in two windows: its waits are told once. */
static bool is_first(const json_t *list, size_t index)
{
	const char *fingerprint = html_text_of(json_array_get(list, index), "fingerprint");
	for (size_t i = 0; i < index; i++) {
		const json_t *query = json_array_get(list, i);
		if (is_hurt(query) && strcmp(html_text_of(query, "fingerprint"), fingerprint) == 0)
			return false;
	}
	return true;
}

/* A share can be told somewhere; a handful of samples is nothing to read. */
static bool is_sampled(const json_t *query)
{
	for (int i = 0; i < 6; i++) {
		if (has_shares(cell_of(query, lanes[i / 3], windows[i % 3])))
			return true;
	}
	return false;
}

static size_t add_rows(const json_t *list, struct strbuf *out)
{
	size_t i;
	size_t shown = 0;
	const json_t *query;
	json_array_foreach (list, i, query) {
		if (!is_hurt(query) || !is_sampled(query) || !is_first(list, i) || shown == STATEMENTS_MAX)
			continue;
		shown++;
		for (int lane = 0; lane < 2; lane++) {
			strbuf_add_str(out, "<tr>");
			if (lane == 0) {
				strbuf_add_str(out, "<td class=\"q\" rowspan=\"2\"><code>");
				html_add_cut(out, html_text_of(query, "sql"), REPORT_CELL_MAX);
				strbuf_add_str(out, "</code></td>");
			}
			report_cell_text(out, lanes[lane]);
			for (int window = 0; window < 3; window++)
				add_cell(cell_of(query, lanes[lane], windows[window]), out);
			strbuf_add_str(out, "</tr>");
		}
	}
	return shown;
}

/* How it was sampled, for one lane. */
static void add_lane(const json_t *lane, const char *name, struct strbuf *out)
{
	strbuf_addf(out, " On the %s lane ", name);
	if (!json_is_true(json_object_get(lane, "known"))) {
		strbuf_add_str(out, "it is not known: ");
		html_add_cut(out, html_text_of(lane, "reason"), REPORT_CELL_MAX);
		strbuf_add_char(out, '.');
		return;
	}
	strbuf_addf(out, "the server was asked %.1f times a second, and %.0f of %.0f samples belong to a statement.",
		    html_number_of(lane, "looks_per_s"), html_number_of(lane, "joined"),
		    html_number_of(lane, "samples"));
}

void report_add_query_waits(const json_t *document, struct strbuf *out)
{
	struct strbuf rows;
	strbuf_init(&rows, out->max);
	size_t shown = add_rows(json_object_get(document, "queries"), &rows);
	const json_t *sampled = json_object_get(json_object_get(document, "query_waits"), "lanes");
	if (shown) {
		strbuf_addf(out,
			    "<details><summary id=\"query-waits\">What the slower and the blocked ones waited for: "
			    "%zu</summary>",
			    shown);
		report_table_open(out, "query-waits", "statement|lane|before|during|after");
		strbuf_add(out, rows.data, rows.len);
		report_table_close(out);
		strbuf_addf(out,
			    "<p class=\"soft\">Shares of the time that executions took, as sampled; n is how often one "
			    "(or a parallel worker of it) was seen, and below %d no share is told. CPU: running, or "
			    "waiting for a processor. It explains, and decides nothing.",
			    QUERY_WAITS_MIN);
		for (int lane = 0; lane < 2; lane++)
			add_lane(json_object_get(sampled, lanes[lane]), lanes[lane], out);
		strbuf_add_str(out, "</p></details>");
	}
	out->overflow |= rows.overflow;
	strbuf_release(&rows);
}
