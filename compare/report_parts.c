/* The page's bricks: see report_parts.h. */
#include "report_parts.h"

#include "html_text.h"
#include "mem.h"

#define NAME_LONG 40

void report_cell_text(struct strbuf *out, const char *text)
{
	/* What is long may be broken anywhere, so that paper is wide enough. */
	strbuf_add_str(out, strlen(text) > NAME_LONG ? "<td class=\"q\">" : "<td>");
	html_add_cut(out, text, REPORT_CELL_MAX);
	strbuf_add_str(out, "</td>");
}

void report_cell_number(struct strbuf *out, double value)
{
	strbuf_add_str(out, "<td class=\"n\">");
	html_add_number(out, value);
	strbuf_add_str(out, "</td>");
}

void report_cell_ms(struct strbuf *out, double ms)
{
	strbuf_add_str(out, "<td class=\"n\">");
	html_add_ms(out, ms);
	strbuf_add_str(out, "</td>");
}

void report_cell_time(struct strbuf *out, const json_t *seconds)
{
	if (json_is_number(seconds))
		strbuf_addf(out, "<td class=\"n\">%.2f s</td>", json_number_value(seconds));
	else
		strbuf_add_str(out, "<td class=\"n\">–</td>");
}

void report_cell_sql(struct strbuf *out, const char *sql)
{
	strbuf_add_str(out, "<td class=\"q\"><code>");
	html_add_cut(out, *sql ? sql : "(no statement)", REPORT_CELL_MAX);
	strbuf_add_str(out, "</code></td>");
}

void report_cell_result(struct strbuf *out, const char *result)
{
	strbuf_add_str(out, "<td class=\"r-");
	html_add_cut(out, result, 20);
	strbuf_add_str(out, "\">");
	html_add_cut(out, strcmp(result, "cannot_tell") == 0 ? "cannot tell" : result, REPORT_CELL_MAX);
	strbuf_add_str(out, "</td>");
}

void report_table_open(struct strbuf *out, const char *id, const char *heads)
{
	strbuf_addf(out,
		    "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"%s\"><table><thead><tr>",
		    id);
	for (const char *p = heads; *p;) {
		size_t len = strcspn(p, "|");
		bool number = *p == '#';
		strbuf_add_str(out, number ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
		strbuf_add(out, p + number, len - number);
		strbuf_add_str(out, "</th>");
		p += len + (p[len] == '|');
	}
	strbuf_add_str(out, "</tr></thead><tbody>");
}

void report_table_close(struct strbuf *out)
{
	strbuf_add_str(out, "</tbody></table></div>");
}

size_t report_table_add(struct strbuf *out, const char *id, const char *heads, const json_t *list, double total,
			bool (*shown)(const json_t *entry), void (*row)(const json_t *entry, struct strbuf *out))
{
	size_t i;
	size_t rows = 0;
	size_t count = 0;
	const json_t *entry;
	json_array_foreach (list, i, entry) {
		if ((shown && !shown(entry)) || count++ >= REPORT_ROWS_MAX)
			continue;
		if (rows++ == 0)
			report_table_open(out, id, heads);
		strbuf_add_str(out, "<tr>");
		row(entry, out);
		strbuf_add_str(out, "</tr>");
	}
	if (rows == 0)
		return 0;
	report_table_close(out);
	total = total > (double)count ? total : (double)count;
	if (total > (double)rows)
		strbuf_addf(out, "<p class=\"soft\">… and %.0f more%s.</p>", total - (double)rows,
			    count > rows ? ": verdict.json has more of them" : "");
	return rows;
}

void report_add_none(struct strbuf *out, const char *text)
{
	strbuf_addf(out, "<p class=\"none\">%s</p>", text);
}

void report_add_sentence(struct strbuf *out, const char *text)
{
	bool code = false;
	const char *from = text;
	for (const char *p = text;; p++) {
		if (*p && *p != '`')
			continue;
		char *piece = mem_strndup(from, (size_t)(p - from));
		html_add_cut(out, piece, 2 * REPORT_CELL_MAX);
		free(piece);
		if (!*p || p - text > 4 * REPORT_CELL_MAX)
			break;
		strbuf_add_str(out, code ? "</code>" : "<code>");
		code = !code;
		from = p + 1;
	}
	if (code)
		strbuf_add_str(out, "</code>");
}
