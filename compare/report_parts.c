/* The page's bricks: see report_parts.h. */
#include "report_parts.h"

#include "html_text.h"
#include "mem.h"

#define SQL_SHOWN 300

void report_cell_text(struct strbuf *out, const char *text)
{
	strbuf_add_str(out, "<td>");
	html_add_text(out, text);
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

void report_cell_sql(struct strbuf *out, const char *sql)
{
	strbuf_add_str(out, "<td class=\"q\"><code>");
	html_add_cut(out, *sql ? sql : "(no statement)", SQL_SHOWN);
	strbuf_add_str(out, "</code></td>");
}

void report_cell_result(struct strbuf *out, const char *result)
{
	strbuf_addf(out, "<td class=\"r-%s\">", result);
	html_add_text(out, strcmp(result, "cannot_tell") == 0 ? "cannot tell" : result);
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
		html_add_text(out, piece);
		free(piece);
		if (!*p)
			break;
		strbuf_add_str(out, code ? "</code>" : "<code>");
		code = !code;
		from = p + 1;
	}
	if (code)
		strbuf_add_str(out, "</code>");
}
