/* Text into HTML: see html_text.h. */
#include "html_text.h"

#include <math.h>
#include <stdint.h>

void html_add_cut(struct strbuf *out, const char *text, size_t max)
{
	size_t n = 0;
	for (const char *p = text; *p; p++) {
		bool begins = ((unsigned char)*p & 0xc0) != 0x80;
		if (begins && n++ == max) {
			strbuf_add_str(out, "…");
			return;
		}
		switch (*p) {
		case '&':
			strbuf_add_str(out, "&amp;");
			break;
		case '<':
			strbuf_add_str(out, "&lt;");
			break;
		case '>':
			strbuf_add_str(out, "&gt;");
			break;
		case '"':
			strbuf_add_str(out, "&quot;");
			break;
		case '\'':
			strbuf_add_str(out, "&#39;");
			break;
		default:
			strbuf_add_char(out, ((unsigned char)*p < 0x20 && *p != '\n') || *p == 0x7f ? ' ' : *p);
		}
	}
}

void html_add_text(struct strbuf *out, const char *text)
{
	html_add_cut(out, text, SIZE_MAX);
}

void html_add_ms(struct strbuf *out, double ms)
{
	if (ms >= 100000)
		strbuf_addf(out, "%.0f s", ms / 1e3);
	else if (ms >= 1000)
		strbuf_addf(out, "%.2f s", ms / 1e3);
	else if (ms >= 10 || ms == 0)
		strbuf_addf(out, "%.0f ms", ms);
	else
		strbuf_addf(out, "%.2g ms", ms);
}

void html_add_bytes(struct strbuf *out, const json_t *value, int with_sign)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	if (!json_is_number(value)) {
		strbuf_add_str(out, "–");
		return;
	}
	double bytes = json_number_value(value);
	double size = fabs(bytes);
	int unit = 0;
	while (size >= 1024 && unit < 4) {
		size /= 1024;
		unit++;
	}
	strbuf_addf(out, unit ? "%s%.1f %s" : "%s%.0f %s",
		    bytes < 0		     ? "−"
		    : with_sign && bytes > 0 ? "+"
					     : "",
		    size, units[unit]);
}

void html_add_number(struct strbuf *out, double value)
{
	if (value == floor(value) && fabs(value) < 1e15)
		strbuf_addf(out, "%.0f", value);
	else
		strbuf_addf(out, fabs(value) >= 100 ? "%.0f" : "%.3g", value);
}

const char *html_text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

double html_number_of(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

void html_add_count(struct strbuf *out, const json_t *object, const char *key, const char *what)
{
	double n = html_number_of(object, key);
	strbuf_addf(out, "%.0f %s%s", n, what, n > 0.5 && n < 1.5 ? "" : "s");
}
