/* Text for a terminal of a certain width: see trace_text.h. */
#include "trace_text.h"

#include "clock.h"
#include "mem.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void trace_text_duration(int64_t ns, char *out, size_t size)
{
	int64_t s = ns / NS_PER_S;
	if (ns < 10 * NS_PER_MS)
		(void)snprintf(out, size, "%.1f ms", ns_to_ms(ns));
	else if (ns < NS_PER_S)
		(void)snprintf(out, size, "%.0f ms", ns_to_ms(ns));
	else if (s < 60)
		(void)snprintf(out, size, "%.2f s", ns_to_s(ns));
	else if (s < 3600)
		(void)snprintf(out, size, "%lldm %02llds", (long long)(s / 60), (long long)(s % 60));
	else
		(void)snprintf(out, size, "%lldh %02lldm", (long long)(s / 3600), (long long)(s / 60 % 60));
}

void trace_text_bytes(int64_t bytes, char *out, size_t size)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
	double value = (double)bytes;
	size_t unit = 0;
	while ((value >= 1024 || value <= -1024) && unit < 4) {
		value /= 1024;
		unit++;
	}
	(void)snprintf(out, size, "%.*f %s", unit && value < 100 && value > -100 ? 1 : 0, value, units[unit]);
}

void trace_text_number(int64_t number, char *out, size_t size)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%lld", (long long)number);
	size_t at = 0;
	for (int i = 0; i < len && at + 2 < size; i++) {
		if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

/* Columns; bytes that go on a character take none. */
static size_t width_of(const char *text, size_t len)
{
	size_t width = 0;
	for (size_t i = 0; i < len; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	return width;
}

/* Bytes of the first `columns` characters. */
static size_t bytes_of(const char *text, size_t columns)
{
	size_t i = 0;
	for (; text[i]; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80 && columns-- == 0)
			break;
	}
	return i;
}

/*
 * A copy, to be freed, with runs of white space as one space and control characters as "?": the ASCII ones, and those
 * of Latin-1 (U+0080 to U+009F, of which U+009B begins an escape sequence).
 */
static char *cleaned(const char *text)
{
	char *copy = mem_strdup(text ? text : "");
	size_t at = 0;
	for (const unsigned char *p = (const unsigned char *)copy; *p; p++) {
		if (isspace(*p)) {
			if (at > 0 && copy[at - 1] != ' ')
				copy[at++] = ' ';
		} else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
			copy[at++] = '?';
			p++;
		} else {
			copy[at++] = *p < 0x20 || *p == 0x7f ? '?' : (char)*p;
		}
	}
	while (at > 0 && copy[at - 1] == ' ')
		at--;
	copy[at] = '\0';
	return copy;
}

static void add_padding(struct strbuf *out, size_t width, size_t used)
{
	for (; used < width; used++)
		strbuf_add_char(out, ' ');
}

void trace_text_pad(struct strbuf *out, const char *text, int width)
{
	char *clean = cleaned(text);
	size_t columns = (size_t)width, have = width_of(clean, strlen(clean));
	if (have > columns) {
		strbuf_add(out, clean, bytes_of(clean, columns - 1));
		strbuf_add_str(out, "…");
	} else {
		strbuf_add_str(out, clean);
		add_padding(out, columns, have);
	}
	free(clean);
}

void trace_text_pad_end(struct strbuf *out, const char *text, int width)
{
	char *clean = cleaned(text);
	size_t columns = (size_t)width, have = width_of(clean, strlen(clean));
	if (have > columns) {
		strbuf_add_str(out, "…");
		strbuf_add_str(out, clean + bytes_of(clean, have - columns + 1));
	} else {
		strbuf_add_str(out, clean);
		add_padding(out, columns, have);
	}
	free(clean);
}

void trace_text_cut(struct strbuf *out, const char *text, int width)
{
	char *clean = cleaned(text);
	size_t columns = (size_t)width;
	if (width_of(clean, strlen(clean)) > columns) {
		strbuf_add(out, clean, bytes_of(clean, columns - 1));
		strbuf_add_str(out, "…");
	} else {
		strbuf_add_str(out, clean);
	}
	strbuf_add_char(out, '\n');
	free(clean);
}

void trace_text_wrap(struct strbuf *out, const char *text, int indent, int width)
{
	char *clean = cleaned(text);
	size_t at = (size_t)indent, limit = (size_t)width;
	bool first = true;
	for (const char *p = clean; *p;) {
		size_t len = strcspn(p, " ");
		size_t columns = width_of(p, len);
		if (!first && at + 1 + columns > limit) {
			strbuf_addf(out, "\n%*s", indent, "");
			at = (size_t)indent;
			first = true;
		}
		strbuf_addf(out, "%s%.*s", first ? "" : " ", (int)len, p);
		at += columns + !first;
		first = false;
		p += len;
		p += *p == ' ';
	}
	strbuf_add_char(out, '\n');
	free(clean);
}
