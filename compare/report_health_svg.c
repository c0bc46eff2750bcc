/* Small multiples of the servers' health: see report_health.h. Colours are the page's: see report_svg.h. */
#include "html_text.h"
#include "report_health.h"

#include <math.h>

#define WIDTH	   1000.0
#define COLUMNS	   2
#define PANEL_W	   490.0
#define PANEL_STEP 510.0
#define PANEL_H	   112.0
#define TITLE_H	   18.0
#define LEGEND_H   16.0
#define PLOT_H	   72.0
#define CHARTS_MAX 32

/* The time axis that all panels share. */
struct axis {
	double bin_s;
	size_t bins;
	double from_s; /* of the migration; from == to: none */
	double to_s;
};

static const char *const lanes[2] = {"baseline", "migrating"};

void report_health_value(struct strbuf *out, const json_t *value, const char *unit)
{
	bool bytes = strncmp(unit, "bytes", 5) == 0;
	if (!json_is_number(value)) {
		strbuf_add_str(out, "–");
		return;
	}
	if (bytes) {
		html_add_bytes(out, value, 0);
		strbuf_add_str(out, unit + 5);
		return;
	}
	if (strcmp(unit, "share") == 0) {
		strbuf_addf(out, "%.3g %%", 100 * json_number_value(value));
		return;
	}
	html_add_number(out, json_number_value(value));
	if (strcmp(unit, "cores") == 0)
		strbuf_add_str(out, " cores");
	else if (strcmp(unit, "s") == 0)
		strbuf_add_str(out, " s");
	else if (strcmp(unit, "1/s") == 0)
		strbuf_add_str(out, "/s");
	else if (strcmp(unit, "blocks/s") == 0)
		strbuf_add_str(out, " blocks/s");
}

static const json_t *bins_of(const json_t *figure, const char *lane)
{
	return json_object_get(json_object_get(figure, "timeline"), lane);
}

static double largest(const json_t *list)
{
	size_t i;
	const json_t *value;
	double most = 0;
	json_array_foreach (list, i, value)
		most = fmax(most, json_number_value(value));
	return most;
}

bool report_health_is_busy(const json_t *figure)
{
	return largest(bins_of(figure, "baseline")) > 0 || largest(bins_of(figure, "migrating")) > 0;
}

/* Sizes are about their change: their axis does not begin at nought. */
static double smallest(const json_t *list, double least)
{
	size_t i;
	const json_t *value;
	json_array_foreach (list, i, value) {
		if (json_is_number(value))
			least = fmin(least, json_number_value(value));
	}
	return least;
}

static double x_at(const struct axis *axis, double s)
{
	double span_s = axis->bin_s * (double)axis->bins;
	double share = span_s > 0 ? s / span_s : 0;
	return fmin(fmax(share, 0), 1) * PANEL_W;
}

static void add_line(const struct axis *axis, const json_t *list, double low, double high, const char *class,
		     struct strbuf *out)
{
	size_t i;
	const json_t *value;
	bool drawing = false;
	strbuf_addf(out, "<path class=\"%s\" d=\"", class);
	json_array_foreach (list, i, value) {
		if (!json_is_number(value))
			continue;
		double share = high > low ? (json_number_value(value) - low) / (high - low) : 0;
		strbuf_addf(out, "%c%.1f %.1f", drawing ? 'L' : 'M', x_at(axis, ((double)i + 0.5) * axis->bin_s),
			    TITLE_H + PLOT_H * (1 - fmin(fmax(share, 0), 1)));
		drawing = true;
	}
	strbuf_add_str(out, drawing ? "\"/>" : "M0 0\"/>");
}

static void add_panel(const struct axis *axis, const json_t *figure, size_t index, struct strbuf *out)
{
	const char *unit = html_text_of(figure, "unit");
	double high = fmax(largest(bins_of(figure, "baseline")), largest(bins_of(figure, "migrating")));
	double low = 0;
	if (strcmp(html_text_of(figure, "name"), "database_size_bytes") == 0)
		low = smallest(bins_of(figure, "baseline"), smallest(bins_of(figure, "migrating"), high));
	json_t *top = json_real(high);
	strbuf_addf(out, "<g transform=\"translate(%.0f %.0f)\"><text class=\"lbl\" x=\"0\" y=\"12\">",
		    PANEL_STEP * (double)(index % COLUMNS), PANEL_H * (double)(index / COLUMNS));
	html_add_cut(out, html_text_of(figure, "title"), 60);
	strbuf_addf(out, "</text><text class=\"tick\" x=\"%.0f\" y=\"12\" text-anchor=\"end\">", PANEL_W);
	if (low > 0)
		strbuf_add_str(out, "up to ");
	report_health_value(out, top, unit);
	strbuf_add_str(out, "</text>");
	json_decref(top);
	if (axis->to_s > axis->from_s)
		strbuf_addf(out,
			    "<rect class=\"b2\" fill-opacity=\".25\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" "
			    "height=\"%.0f\"/>",
			    x_at(axis, axis->from_s), TITLE_H,
			    fmax(x_at(axis, axis->to_s) - x_at(axis, axis->from_s), 1.5), PLOT_H);
	strbuf_addf(out,
		    "<path class=\"grid\" fill=\"none\" d=\"M0 %.0fH%.0f\"/><path class=\"axis\" d=\"M0 %.0fH%.0f\"/>",
		    TITLE_H, PANEL_W, TITLE_H + PLOT_H, PANEL_W);
	for (int lane = 0; lane < 2; lane++)
		add_line(axis, bins_of(figure, lanes[lane]), low, high, lane ? "lm" : "lb", out);
	strbuf_add_str(out, "</g>");
}

/* The migration itself, without the recovery behind it. */
static void find_migration(const json_t *document, struct axis *axis)
{
	const json_t *run = json_object_get(document, "migration_run");
	if (!json_is_number(json_object_get(run, "start_s")))
		return;
	axis->from_s = html_number_of(run, "start_s");
	axis->to_s = fmax(html_number_of(run, "end_s"), axis->from_s + 1e-9);
}

size_t report_health_charts(const json_t *document, struct strbuf *out)
{
	const json_t *health = json_object_get(document, "health");
	const json_t *figures = json_object_get(health, "figures");
	struct axis axis = {.bin_s = html_number_of(health, "bin_s"), .bins = (size_t)html_number_of(health, "bins")};
	size_t count = 0;
	size_t i;
	const json_t *figure;
	json_array_foreach (figures, i, figure)
		count += report_health_is_busy(figure);
	count = count < CHARTS_MAX ? count : CHARTS_MAX;
	if (count == 0 || axis.bins == 0 || !(axis.bin_s > 0))
		return 0;
	find_migration(document, &axis);
	double height = PANEL_H * (double)((count + COLUMNS - 1) / COLUMNS) + LEGEND_H;
	strbuf_addf(
		out,
		"<div class=\"chart\" tabindex=\"0\" role=\"region\" aria-label=\"The servers' health over time\">"
		"<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"hl-t hl-d\"><title id=\"hl-t\">The "
		"servers' health over time</title><desc id=\"hl-d\">%zu charts over the same %.0f seconds, with the "
		"migration shaded. The table below has the figures.</desc>",
		WIDTH, height, count, axis.bin_s * (double)axis.bins);
	size_t shown = 0;
	json_array_foreach (figures, i, figure) {
		if (shown < count && report_health_is_busy(figure))
			add_panel(&axis, figure, shown++, out);
	}
	strbuf_addf(out, "<text class=\"tick\" x=\"0\" y=\"%.0f\">0 s to %.0f s, all alike</text>", height - 4,
		    axis.bin_s * (double)axis.bins);
	strbuf_add_str(out,
		       "</svg></div><p class=\"legend\"><span class=\"k km\"></span>migrating lane <span class=\"k "
		       "kb\"></span>baseline (dashed) <span class=\"k k2\"></span>the migration; each axis begins at "
		       "0 and ends at the figure on its right, but that of the database's size, which begins at its "
		       "least</p>");
	return shown;
}
