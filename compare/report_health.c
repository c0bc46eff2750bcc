/* The servers' health on the page: see report_sections.h. Charts are in report_health_svg.c. */
#include "report_health.h"

#include "html_text.h"
#include "report_parts.h"
#include "report_sections.h"

static const char *const lanes[2] = {"baseline", "migrating"};
static const char *const windows[3] = {"before", "during", "after"};

static void heading(struct strbuf *out, const char *id, const char *text)
{
	strbuf_addf(out, "<h3 id=\"%s\">%s</h3>", id, text);
}

static const json_t *stat_of(const json_t *figure, const char *lane, const char *window, const char *which)
{
	return json_object_get(json_object_get(json_object_get(figure, lane), window), which);
}

/* "1.2 MB/s, 3.4 MB/s": mean and maximum, once where they are one. */
static void cell_stat(struct strbuf *out, const json_t *figure, const char *lane, const char *window)
{
	const char *unit = html_text_of(figure, "unit");
	strbuf_add_str(out, "<td class=\"n\">");
	report_health_value(out, stat_of(figure, lane, window, "mean"), unit);
	if (json_number_value(stat_of(figure, lane, window, "max")) !=
	    json_number_value(stat_of(figure, lane, window, "mean"))) {
		strbuf_add_str(out, ", ");
		report_health_value(out, stat_of(figure, lane, window, "max"), unit);
	}
	strbuf_add_str(out, "</td>");
}

static void figure_row(const json_t *figure, struct strbuf *out)
{
	report_cell_text(out, html_text_of(figure, "title"));
	for (int window = 0; window < 3; window++) {
		for (int lane = 0; lane < 2; lane++)
			cell_stat(out, figure, lanes[lane], windows[window]);
	}
}

static void add_figures(const json_t *health, struct strbuf *out)
{
	const json_t *figures = json_object_get(health, "figures");
	size_t i;
	const json_t *figure;
	size_t quiet = 0;
	strbuf_add_str(out, "<details><summary id=\"health-figures\">The same as a table: mean and maximum</summary>");
	(void)report_table_add(
		out, "health-figures",
		"figure|#before, baseline|#before, migrating|#during, baseline|#during, migrating|#after, "
		"baseline|#after, migrating",
		figures, 0, NULL, figure_row);
	strbuf_add_str(out, "</details>");
	json_array_foreach (figures, i, figure) {
		if (report_health_is_busy(figure))
			continue;
		strbuf_add_str(out, quiet++ ? ", " : "<p class=\"soft\">Nothing was seen of: ");
		html_add_cut(out, html_text_of(figure, "title"), REPORT_CELL_MAX);
	}
	if (quiet)
		strbuf_add_str(out, ".</p>");
}

static void wait_row(const json_t *wait, struct strbuf *out)
{
	bool grew = json_is_true(json_object_get(wait, "grew"));
	report_cell_text(out, html_text_of(wait, "event"));
	for (int window = 0; window < 3; window++) {
		for (int lane = 0; lane < 2; lane++) {
			strbuf_add_str(out, "<td class=\"n\">");
			report_health_value(out, json_object_get(json_object_get(wait, lanes[lane]), windows[window]),
					    "");
			strbuf_add_str(out, "</td>");
		}
	}
	strbuf_addf(out, grew ? "<td class=\"r-warn\">grew by %.3g</td>" : "<td>–</td>",
		    html_number_of(wait, "growth"));
}

static void add_waits(const json_t *health, struct strbuf *out)
{
	heading(out, "health-waits", "What active sessions waited for");
	if (!report_table_add(out, "health-waits",
			      "wait event|#before, baseline|#before, migrating|#during, baseline|#during, migrating|"
			      "#after, baseline|#after, migrating|since the migration began",
			      json_object_get(health, "waits"), html_number_of(health, "waits_total"), NULL,
			      wait_row)) {
		report_add_none(out, "No active session was seen, or the server does not tell.");
		return;
	}
	strbuf_add_str(out,
		       "<p class=\"soft\">Sessions on average, as sampled; CPU is a session that waits for nothing "
		       "that the server knows of.</p>");
}

static const char *cause_words(const char *cause)
{
	if (strcmp(cause, "migration") == 0)
		return "the migration itself";
	if (strcmp(cause, "perhaps_the_migration") == 0)
		return "perhaps the migration";
	return "something else";
}

static void noise_row(const json_t *event, struct strbuf *out)
{
	report_cell_text(out, html_text_of(event, "kind"));
	report_cell_text(out, html_text_of(event, "relation"));
	report_cell_text(out, html_text_of(event, "what"));
	report_cell_text(out, html_text_of(event, "lane"));
	report_cell_time(out, json_object_get(event, "start_s"));
	report_cell_time(out, json_object_get(event, "end_s"));
	report_cell_text(out, cause_words(html_text_of(event, "cause")));
}

static void add_noise(const json_t *health, struct strbuf *out)
{
	heading(out, "health-noise", "Background work on one lane alone");
	if (!report_table_add(out, "health-noise", "what|table|how|lane|#from|#to|because of",
			      json_object_get(health, "noise"), html_number_of(health, "noise_total"), NULL,
			      noise_row)) {
		report_add_none(out, "No checkpoint, vacuum or backup ran on one lane alone.");
		return;
	}
	strbuf_add_str(out, "<p class=\"soft\">A latency that differs at that time may be its doing. It decides "
			    "nothing.</p>");
}

static void add_phases(const json_t *activity, struct strbuf *out)
{
	size_t i;
	const json_t *phase;
	strbuf_add_str(out, "<td class=\"q\">");
	json_array_foreach (json_object_get(activity, "phases"), i, phase) {
		strbuf_add_str(out, i ? "<br>" : "");
		html_add_cut(out, html_text_of(phase, "phase"), 64);
		strbuf_addf(out, ", %.1f s to %.1f s", html_number_of(phase, "start_s"),
			    html_number_of(phase, "end_s"));
		if (json_is_number(json_object_get(phase, "total")))
			strbuf_addf(out, ": %.0f of %.0f", html_number_of(phase, "done"),
				    html_number_of(phase, "total"));
	}
	strbuf_add_str(out, "</td>");
}

static void progress_row(const json_t *activity, struct strbuf *out)
{
	report_cell_text(out, html_text_of(activity, "what"));
	report_cell_text(out, html_text_of(activity, "relation"));
	report_cell_text(out, html_text_of(activity, "index"));
	report_cell_text(out, html_text_of(activity, "lane"));
	report_cell_time(out, json_object_get(activity, "start_s"));
	report_cell_time(out, json_object_get(activity, "end_s"));
	add_phases(activity, out);
	report_cell_text(out, json_is_true(json_object_get(activity, "under_way_at_the_end")) ? "under way" : "ended");
}

static void add_progress(const json_t *health, struct strbuf *out)
{
	if (json_array_size(json_object_get(health, "progress")) == 0)
		return;
	heading(out, "health-progress", "Index builds, rewrites and copies");
	(void)report_table_add(out, "health-progress", "what|table|index|lane|#seen from|#to|phases|at the run's end",
			       json_object_get(health, "progress"), html_number_of(health, "progress_total"), NULL,
			       progress_row);
}

static void key_cells(const json_t *entry, const char *unit, struct strbuf *out)
{
	report_cell_text(out, html_text_of(entry, "lane"));
	for (int window = 0; window < 3; window++) {
		strbuf_add_str(out, "<td class=\"n\">");
		report_health_value(out, stat_of(entry, "max", windows[window], "max"), unit);
		strbuf_add_str(out, "</td>");
	}
}

static void table_row(const json_t *table, struct strbuf *out)
{
	report_cell_text(out, html_text_of(table, "relation"));
	key_cells(table, "rows", out);
}

static void slot_row(const json_t *slot, struct strbuf *out)
{
	report_cell_text(out, html_text_of(slot, "slot"));
	key_cells(slot, "bytes", out);
}

static void add_keys(const json_t *health, struct strbuf *out)
{
	if (json_array_size(json_object_get(health, "tables"))) {
		strbuf_add_str(out, "<details><summary id=\"health-tables\">Tables with the most dead rows</summary>");
		(void)report_table_add(out, "health-tables", "table|lane|#most before|#during|#after",
				       json_object_get(health, "tables"), 0, NULL, table_row);
		strbuf_add_str(out, "</details>");
	}
	if (json_array_size(json_object_get(health, "slots"))) {
		strbuf_add_str(out, "<details><summary id=\"health-slots\">WAL that replication slots hold "
				    "back</summary>");
		(void)report_table_add(out, "health-slots", "slot|lane|#most before|#during|#after",
				       json_object_get(health, "slots"), 0, NULL, slot_row);
		strbuf_add_str(out, "</details>");
	}
}

/* What it cost to know all this, and what was not to be known. */
static void add_lane(const char *name, const json_t *lane, struct strbuf *out)
{
	size_t i;
	const json_t *note;
	strbuf_addf(out, "<li>%s: ", name);
	if (!json_is_true(json_object_get(lane, "known"))) {
		strbuf_add_str(out, "not known; ");
		html_add_cut(out, html_text_of(lane, "reason"), REPORT_CELL_MAX);
		strbuf_add_str(out, "</li>");
		return;
	}
	strbuf_addf(out, "%.0f samples, %.0f gaps, %.3g ms each", html_number_of(lane, "samples"),
		    html_number_of(lane, "gaps_total"), html_number_of(lane, "sample_ms"));
	if (json_is_number(json_object_get(lane, "own_server_cpu_share")))
		strbuf_addf(out, ", which took %.2g %% of a processor on the server and %.2g %% here",
			    100 * html_number_of(lane, "own_server_cpu_share"),
			    100 * html_number_of(lane, "own_cpu_share"));
	json_array_foreach (json_object_get(lane, "unknown"), i, note) {
		strbuf_add_str(out, i ? "; " : ". Not known in some samples: ");
		html_add_cut(out, html_text_of(note, "what"), REPORT_CELL_MAX);
		strbuf_addf(out, " (%.0f): ", html_number_of(note, "samples"));
		html_add_cut(out, html_text_of(note, "reason"), REPORT_CELL_MAX);
	}
	strbuf_add_str(out, "</li>");
}

void report_add_health(const json_t *document, struct strbuf *out)
{
	const json_t *health = json_object_get(document, "health");
	if (!json_is_object(health)) {
		report_add_none(out, "The run has no samples of the servers' health.");
		return;
	}
	if (report_health_charts(document, out) == 0)
		report_add_none(out, "Nothing was seen.");
	add_figures(health, out);
	add_waits(health, out);
	add_noise(health, out);
	add_progress(health, out);
	add_keys(health, out);
	strbuf_add_str(out, "<ul class=\"soft\">");
	for (int lane = 0; lane < 2; lane++)
		add_lane(lanes[lane], json_object_get(json_object_get(health, "lanes"), lanes[lane]), out);
	strbuf_add_str(out, "</ul>");
}
