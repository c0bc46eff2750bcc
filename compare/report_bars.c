/* The migration's statements as bars: see report_bars.h. */
#include "report_bars.h"

#include "html_text.h"
#include "mem.h"
#include "report_facts.h"

#include <math.h>

#define ROWS_MAX    12
#define ALONE_MIN   3
#define SHARED_MAX  400 /* bars in the last row */
#define TITLE_SHOWN 200
#define LABEL_SHOWN 60
#define CHARACTER   7.2 /* width of one at 12 px, about */

struct bar {
	size_t index; /* of the statement, in order of time */
	double weight;
	size_t row;
};

static int by_weight(const void *a, const void *b)
{
	const struct bar *x = a;
	const struct bar *y = b;
	if (x->weight < y->weight || x->weight > y->weight)
		return x->weight > y->weight ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static int by_index(const void *a, const void *b)
{
	const struct bar *x = a;
	const struct bar *y = b;
	return (x->index > y->index) - (x->index < y->index);
}

/* How many statements get a row of their own: of many those that matter, and never none. */
static size_t count_alone(const json_t *statements)
{
	size_t i;
	size_t matter = 0;
	const json_t *statement;
	if (json_array_size(statements) <= ROWS_MAX)
		return json_array_size(statements);
	json_array_foreach (statements, i, statement)
		matter += report_statement_matters(statement);
	matter = matter > ALONE_MIN ? matter : ALONE_MIN;
	return matter < ROWS_MAX - 1 ? matter : ROWS_MAX - 1;
}

size_t report_bars_rows(const json_t *statements)
{
	size_t alone = count_alone(statements);
	return alone + (json_array_size(statements) > alone);
}

/*
 * The bars in order of time, with their rows; *count says how many. Of those that share the last row the weightiest are
 * drawn. To be freed.
 */
static struct bar *arrange(const json_t *statements, size_t alone, size_t *count)
{
	size_t total = json_array_size(statements);
	struct bar *bars = mem_zalloc(total + 1, sizeof(*bars));
	for (size_t i = 0; i < total; i++)
		bars[i] = (struct bar){.index = i, .weight = report_statement_weight(json_array_get(statements, i))};
	if (total > alone)
		qsort(bars, total, sizeof(*bars), by_weight);
	qsort(bars, alone, sizeof(*bars), by_index);
	for (size_t i = 0; i < total; i++)
		bars[i].row = i < alone ? i : alone;
	*count = total < alone + SHARED_MAX ? total : alone + SHARED_MAX;
	return bars;
}

static const char *class_of(const char *mode)
{
	if (strcmp(mode, "AccessExclusiveLock") == 0)
		return "b1";
	if (strcmp(mode, "ShareLock") == 0 || strcmp(mode, "ShareRowExclusiveLock") == 0 ||
	    strcmp(mode, "ExclusiveLock") == 0)
		return "b2";
	return "b3";
}

/* Beside the bar, on the side with more room, cut to it; inside where the bar takes nearly all. */
static void add_label(const struct report_bars *bars, const char *sql, const char *mode, double from, double width,
		      double y, struct strbuf *out)
{
	double room_left = from - bars->left;
	double room_right = bars->right - from - width;
	bool inside = width > room_left && width > room_right;
	bool left = !inside && room_left > room_right;
	double room = inside ? width : left ? room_left : room_right;
	size_t characters = (size_t)fmax(room / CHARACTER, 0);
	size_t mode_len = strlen(mode) + 3;
	size_t sql_len = characters > mode_len + 12 ? characters - mode_len : characters;
	if (characters < 4)
		return;
	strbuf_addf(out, "<text class=\"%s%s\" x=\"%.1f\" y=\"%.1f\"%s>", inside ? "lbl on-" : "lbl",
		    inside ? class_of(mode) : "",
		    left     ? from - 5
		    : inside ? from + 6
			     : from + width + 5,
		    y, left ? " text-anchor=\"end\"" : "");
	html_add_cut(out, sql, sql_len < LABEL_SHOWN ? sql_len : LABEL_SHOWN);
	if (*mode && sql_len != characters) {
		strbuf_add_str(out, " · ");
		html_add_cut(out, mode, LABEL_SHOWN);
	}
	strbuf_add_str(out, "</text>");
}

static double x_of(const struct report_bars *bars, double s)
{
	double share = bars->span_s > 0 ? s / bars->span_s : 0;
	share = share < 0 ? 0 : share > 1 ? 1 : share;
	return bars->left + share * (bars->right - bars->left);
}

static void add_bar(const struct report_bars *bars, const json_t *statement, size_t row, bool alone, struct strbuf *out)
{
	const char *sql = html_text_of(statement, "sql");
	const char *mode = report_strongest_mode(statement);
	double end_s = report_statement_end_s(statement);
	double from = x_of(bars, html_number_of(statement, "start_s"));
	double width = fmax(x_of(bars, end_s) - from, 3);
	double y = bars->y + REPORT_BAR_HEIGHT * (double)row;
	strbuf_add_str(out, "<g>");
	if (alone) {
		strbuf_add_str(out, "<title>");
		html_add_cut(out, sql, TITLE_SHOWN);
		strbuf_addf(out, " — %.3f s to %.3f s ", html_number_of(statement, "start_s"), end_s);
		html_add_cut(out, mode, LABEL_SHOWN);
		strbuf_add_str(out, "</title>");
	}
	strbuf_addf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", class_of(mode),
		    from, y + 2, width, REPORT_BAR_HEIGHT - 5);
	if (alone)
		add_label(bars, sql, mode, from, width, y + REPORT_BAR_HEIGHT - 6, out);
	strbuf_add_str(out, "</g>");
}

void report_bars_add(const struct report_bars *bars, const json_t *statements, struct strbuf *out)
{
	size_t count;
	size_t total = json_array_size(statements);
	size_t alone = count_alone(statements);
	struct bar *order = arrange(statements, alone, &count);
	for (size_t i = 0; i < count; i++)
		add_bar(bars, json_array_get(statements, order[i].index), order[i].row, i < alone, out);
	if (total > alone)
		strbuf_addf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%zu more</text>",
			    bars->left - 6, bars->y + REPORT_BAR_HEIGHT * (double)(alone + 1) - 6, total - alone);
	free(order);
}
