/* The stall timeline as SVG: see report_svg.h. */
#include "report_svg.h"

#include "html_text.h"
#include "report_bars.h"

#include <math.h>

#define WIDTH	   1000.0
#define LEFT	   64.0
#define RIGHT	   22.0 /* half of the last label of the axis */
#define TABLE_ROWS 120

/* One figure's numbers: time to x, and where its three bands lie. */
struct figure {
	const json_t *document;
	const json_t *timeline;
	double span_s;
	double bin_s;
	size_t bins;
	double bars_y;
	size_t bars;
	double blocked_y; /* the axis between the two lanes */
	double blocked_h; /* of one half */
	double p99_y;
	double p99_h;
	double height;
};

static double x_of(const struct figure *f, double s)
{
	double share = f->span_s > 0 ? s / f->span_s : 0;
	share = share < 0 ? 0 : share > 1 ? 1 : share;
	return LEFT + share * (WIDTH - LEFT - RIGHT);
}

static double value_at(const json_t *list, size_t i)
{
	return json_number_value(json_array_get(list, i));
}

static double largest(const json_t *list)
{
	double most = 0;
	for (size_t i = 0; i < json_array_size(list); i++)
		most = fmax(most, value_at(list, i));
	return most;
}

static const json_t *series(const struct figure *f, const char *name, const char *lane)
{
	return json_object_get(json_object_get(f->timeline, name), lane);
}

static void add_axis(const struct figure *f, struct strbuf *out)
{
	static const double steps[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600};
	double step = steps[0];
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && f->span_s / step > 12; i++)
		step = steps[i];
	if (f->span_s / step > 50)
		step = f->span_s / 12;
	for (double t = 0; t <= f->span_s; t += step) {
		double x = x_of(f, t);
		strbuf_addf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x, f->bars_y,
			    x, f->height - 22);
		strbuf_addf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.6g s</text>", x,
			    f->height - 6, t);
	}
}

static void add_label(struct strbuf *out, double y, const char *text)
{
	strbuf_addf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6, y);
	html_add_text(out, text);
	strbuf_add_str(out, "</text>");
}

static void add_count_label(struct strbuf *out, double y, double value, const char *unit)
{
	char text[60];
	(void)snprintf(text, sizeof(text), "%.4g%s", value, unit);
	add_label(out, y, text);
}

/* Steps from the axis outwards: up for the migrating lane, down for the baseline. */
static void add_area(const struct figure *f, const json_t *list, double scale, double direction, const char *class,
		     struct strbuf *out)
{
	strbuf_addf(out, "<path class=\"%s\" d=\"M%.1f %.1f", class, x_of(f, 0), f->blocked_y);
	double last = 0;
	for (size_t i = 0; i < f->bins; i++) {
		double value = value_at(list, i);
		if (value == last)
			continue;
		strbuf_addf(out, "H%.1fV%.1f", x_of(f, (double)i * f->bin_s),
			    f->blocked_y - direction * value / scale * f->blocked_h);
		last = value;
	}
	strbuf_addf(out, "H%.1fV%.1fZ\"/>", x_of(f, f->span_s), f->blocked_y);
}

static void add_blocked(const struct figure *f, struct strbuf *out)
{
	const json_t *migrating = series(f, "blocked_sessions", "migrating");
	const json_t *baseline = series(f, "blocked_sessions", "baseline");
	double scale = ceil(fmax(fmax(largest(migrating), largest(baseline)), 1));
	add_area(f, migrating, scale, 1, "am", out);
	add_area(f, baseline, scale, -1, "ab", out);
	strbuf_addf(out, "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", LEFT, f->blocked_y,
		    WIDTH - RIGHT, f->blocked_y);
	add_count_label(out, f->blocked_y - f->blocked_h + 10, scale, "");
	add_label(out, f->blocked_y + 4, "0");
	add_count_label(out, f->blocked_y + f->blocked_h, scale, "");
	strbuf_addf(
		out,
		"<text class=\"lbl\" x=\"%.1f\" y=\"%.1f\">sessions waiting for locks: migrating lane above, baseline "
		"below</text>",
		LEFT + 4, f->blocked_y - f->blocked_h - 4);
}

/* Logarithmic: a stall is a thousand times a normal statement. */
static double p99_y(const struct figure *f, double ms, double low, double high)
{
	double share = (log10(fmax(ms, low)) - log10(low)) / (log10(high) - log10(low));
	return f->p99_y + f->p99_h * (1 - fmin(share, 1));
}

static void add_line(const struct figure *f, const json_t *list, double low, double high, const char *class,
		     struct strbuf *out)
{
	bool drawing = false;
	strbuf_addf(out, "<path class=\"%s\" d=\"", class);
	for (size_t i = 0; i < f->bins; i++) {
		const json_t *value = json_array_get(list, i);
		/* A bin in which nothing was due leaves the line whole: thin traffic is no gap. */
		if (!json_is_number(value))
			continue;
		strbuf_addf(out, "%c%.1f %.1f", drawing ? 'L' : 'M', x_of(f, ((double)i + 0.5) * f->bin_s),
			    p99_y(f, json_number_value(value), low, high));
		drawing = true;
	}
	strbuf_add_str(out, drawing ? "\"/>" : "M0 0\"/>");
}

static void add_p99(const struct figure *f, struct strbuf *out)
{
	const json_t *migrating = series(f, "p99_ms", "migrating");
	const json_t *baseline = series(f, "p99_ms", "baseline");
	double most = fmax(fmax(largest(migrating), largest(baseline)), 1);
	double high = pow(10, ceil(log10(most)));
	double low = fmin(0.1, high / 1000);
	for (double ms = low; ms <= high * 1.01; ms *= 10) {
		double y = p99_y(f, ms, low, high);
		strbuf_addf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", LEFT, y,
			    WIDTH - RIGHT, y);
		add_count_label(out, y + 4, ms >= 1000 ? ms / 1000 : ms, ms >= 1000 ? " s" : " ms");
	}
	add_line(f, baseline, low, high, "lb", out);
	add_line(f, migrating, low, high, "lm", out);
	strbuf_addf(out,
		    "<text class=\"lbl\" x=\"%.1f\" y=\"%.1f\">99th percentile of latency, by when a statement was "
		    "due; errors</text>",
		    LEFT + 4, f->p99_y - 8);
}

static void add_errors(const struct figure *f, struct strbuf *out)
{
	static const char *const lanes[2] = {"migrating", "baseline"};
	for (int lane = 0; lane < 2; lane++) {
		const json_t *list = series(f, "errors", lanes[lane]);
		double y = f->p99_y + f->p99_h + (lane ? 20 : 10);
		for (size_t i = 0; i < f->bins; i++) {
			if (value_at(list, i) <= 0)
				continue;
			strbuf_addf(out, "<path class=\"%s\" d=\"M%.1f %.1fv8\"/>", lane ? "eb" : "em",
				    x_of(f, ((double)i + 0.5) * f->bin_s), y);
		}
	}
	add_label(out, f->p99_y + f->p99_h + 23, "errors");
}

/* At most so many rows that a person can read: bins are put together, counts summed, the rest by its largest. */
static void add_table(const struct figure *f, struct strbuf *out)
{
	size_t step = (f->bins + TABLE_ROWS - 1) / TABLE_ROWS;
	strbuf_add_str(
		out,
		"<details class=\"noprint\"><summary id=\"timeline-table\">The same as a table</summary><div "
		"class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"timeline-table\"><table><thead><tr>"
		"<th scope=\"col\">from</th><th scope=\"col\">statements due</th>"
		"<th scope=\"col\">waiting, migrating</th><th scope=\"col\">waiting, baseline</th>"
		"<th scope=\"col\">p99 migrating</th><th scope=\"col\">p99 baseline</th>"
		"<th scope=\"col\">errors migrating</th><th scope=\"col\">errors baseline</th>"
		"</tr></thead><tbody>");
	for (size_t i = 0; step && i < f->bins; i += step) {
		double sums[3] = {0};
		double most[4] = {0};
		for (size_t k = i; k < i + step && k < f->bins; k++) {
			sums[0] += value_at(json_object_get(f->timeline, "statements"), k);
			sums[1] += value_at(series(f, "errors", "migrating"), k);
			sums[2] += value_at(series(f, "errors", "baseline"), k);
			most[0] = fmax(most[0], value_at(series(f, "blocked_sessions", "migrating"), k));
			most[1] = fmax(most[1], value_at(series(f, "blocked_sessions", "baseline"), k));
			most[2] = fmax(most[2], value_at(series(f, "p99_ms", "migrating"), k));
			most[3] = fmax(most[3], value_at(series(f, "p99_ms", "baseline"), k));
		}
		strbuf_addf(out,
			    "<tr><td>%.2f s</td><td>%.0f</td><td>%.1f</td><td>%.1f</td><td>%.3g ms</td><td>%.3g ms</td>"
			    "<td>%.0f</td><td>%.0f</td></tr>",
			    (double)i * f->bin_s, sums[0], most[0], most[1], most[2], most[3], sums[1], sums[2]);
	}
	strbuf_add_str(out, "</tbody></table></div></details>");
}

static void add_legend(struct strbuf *out)
{
	static const char *const keys[][2] = {{"km", "migrating lane"},
					      {"kb", "baseline (dashed)"},
					      {"k1", "AccessExclusiveLock"},
					      {"k2", "blocks writers"},
					      {"k3", "weaker"}};
	strbuf_add_str(out, "</svg></div><p class=\"legend\">");
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		strbuf_addf(out, "<span class=\"key\"><span class=\"k %s\"></span>%s</span> ", keys[i][0], keys[i][1]);
	strbuf_add_str(out, "</p>");
}

void report_svg_timeline(const json_t *document, struct strbuf *out)
{
	struct figure f = {.document = document, .timeline = json_object_get(document, "timeline")};
	f.bin_s = html_number_of(f.timeline, "bin_s");
	f.bins = json_array_size(json_object_get(f.timeline, "statements"));
	if (f.bins == 0 || f.bin_s <= 0)
		return;
	f.span_s = f.bin_s * (double)f.bins;
	f.bars = report_bars_rows(json_object_get(document, "migration"));
	f.bars_y = 4;
	f.blocked_h = 64;
	f.blocked_y = f.bars_y + REPORT_BAR_HEIGHT * (double)f.bars + 24 + f.blocked_h;
	f.p99_y = f.blocked_y + f.blocked_h + 26;
	f.p99_h = 90;
	f.height = f.p99_y + f.p99_h + 56;
	strbuf_addf(out,
		    "<div class=\"chart\" tabindex=\"0\" role=\"region\" aria-label=\"Stall timeline\"><svg "
		    "viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"tl-t tl-d\">"
		    "<title id=\"tl-t\">Stall timeline</title><desc id=\"tl-d\">Over %.1f seconds: the migration's "
		    "statements with their strongest lock, the sessions that waited for locks on both lanes, the 99th "
		    "percentile of latency on both lanes, and errors. The table below has the figures.</desc>",
		    WIDTH, f.height, f.span_s);
	add_axis(&f, out);
	const struct report_bars bars = {.y = f.bars_y, .left = LEFT, .right = WIDTH - RIGHT, .span_s = f.span_s};
	report_bars_add(&bars, json_object_get(document, "migration"), out);
	add_blocked(&f, out);
	add_p99(&f, out);
	add_errors(&f, out);
	add_legend(out);
	add_table(&f, out);
}

void report_svg_whisker(double ratio, double low, double high, struct strbuf *out)
{
	/* log2 from -1 to 4.32 on 120 units. */
	double x[3] = {low, ratio, high};
	for (int i = 0; i < 3; i++) {
		double at = (log2(fmax(x[i], 0.5)) + 1) / 5.32 * 116 + 2;
		x[i] = fmin(at, 118);
	}
	strbuf_addf(out,
		    "<svg class=\"wh\" viewBox=\"0 0 120 14\" role=\"img\" aria-label=\"%.2f, from %.2f to %.2f\">"
		    "<line class=\"one\" x1=\"23.8\" y1=\"0\" x2=\"23.8\" y2=\"14\"/>"
		    "<path class=\"w\" d=\"M%.1f 7H%.1fM%.1f 3v8M%.1f 3v8\"/><circle class=\"wd\" cx=\"%.1f\" cy=\"7\" "
		    "r=\"3\"/></svg>",
		    ratio, low, high, x[0], x[2], x[0], x[2], x[1]);
}
