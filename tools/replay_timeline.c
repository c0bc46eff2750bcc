/* Sessions and statements over time: see replay_timeline.h. */
#include "replay_timeline.h"

#include "clock.h"
#include "output.h"

#include <stdint.h>

void replay_timeline_init(struct replay_timeline *timeline, int64_t span_ns)
{
	*timeline = (struct replay_timeline){.bin_ns = span_ns / TIMELINE_BINS + 1};
}

/* Bins without an item have the sessions that were open before. */
static void go_to(struct replay_timeline *timeline, int bin)
{
	while (timeline->last_bin < bin)
		timeline->sessions[++timeline->last_bin] = timeline->open;
}

void replay_timeline_add(struct replay_timeline *timeline, const struct item *item)
{
	int64_t bin = item->time_ns / timeline->bin_ns;
	int at = bin < 0 ? 0 : bin >= TIMELINE_BINS ? TIMELINE_BINS - 1 : (int)bin;
	go_to(timeline, at);
	if (item->kind == ITEM_CONNECT)
		timeline->open++;
	else if (item->kind == ITEM_DISCONNECT && timeline->open > 0)
		timeline->open--;
	else if (item->kind == ITEM_SIMPLE || item->kind == ITEM_EXECUTE)
		timeline->statements[at]++;
	if (timeline->open > timeline->sessions[at])
		timeline->sessions[at] = timeline->open;
}

/* A row of eighths of a block, the highest value full; what is not nothing is never shown as nothing. */
static void print_row(const char *title, const double *values, const char *unit)
{
	static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	double max = 0;
	for (int i = 0; i < TIMELINE_BINS; i++)
		max = values[i] > max ? values[i] : max;
	output_text("%-12s |", title);
	for (int i = 0; i < TIMELINE_BINS; i++) {
		int level = max > 0 ? (int)(values[i] / max * 8 + 0.5) : 0;
		output_text("%s", blocks[values[i] > 0 && level == 0 ? 1 : level]);
	}
	output_text("| to %.*f%s\n", max < 10 ? 1 : 0, max, unit);
}

static double rate(const struct replay_timeline *timeline, int bin)
{
	return (double)timeline->statements[bin] / ns_to_s(timeline->bin_ns);
}

void replay_timeline_print(struct replay_timeline *timeline)
{
	double sessions[TIMELINE_BINS];
	double statements[TIMELINE_BINS];
	go_to(timeline, TIMELINE_BINS - 1);
	for (int i = 0; i < TIMELINE_BINS; i++) {
		sessions[i] = timeline->sessions[i];
		statements[i] = rate(timeline, i);
	}
	output_text("\n");
	print_row("sessions", sessions, "");
	print_row("statements", statements, " a second");
	output_text("%-12s  %.3g s a column\n", "", ns_to_s(timeline->bin_ns));
}

json_t *replay_timeline_json(struct replay_timeline *timeline)
{
	json_t *sessions = json_array();
	json_t *statements = json_array();
	go_to(timeline, TIMELINE_BINS - 1);
	for (int i = 0; i < TIMELINE_BINS; i++) {
		json_array_append_new(sessions, json_integer(timeline->sessions[i]));
		json_array_append_new(statements, json_real(rate(timeline, i)));
	}
	return json_pack("{s:f, s:o, s:o}", "bin_s", ns_to_s(timeline->bin_ns), "sessions", sessions,
			 "statements_per_s", statements);
}
