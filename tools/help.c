/* --help, for all commands and for one: see help.h. The man page is in help_man.c, the completion in help_completion.c.
 */
#include "help.h"

#include <string.h>

enum {
	WIDTH = 96,
	COLUMN = 30
};

/* Columns that text takes: continuation bytes of UTF-8 take none. */
static size_t text_width(const char *text, size_t len)
{
	size_t width = 0;
	for (size_t i = 0; i < len; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	return width;
}

static void add_spaces(struct strbuf *out, size_t n)
{
	for (; n > 0; n--)
		strbuf_add_char(out, ' ');
}

/* Adds text word by word from column `at`, with later lines indented; an empty line stays one. */
static void add_wrapped(struct strbuf *out, const char *text, size_t indent, size_t at)
{
	const char *p = text;
	bool first = true;
	while (*p) {
		if (p[0] == '\n' && p[1] == '\n') {
			strbuf_add_str(out, "\n\n");
			add_spaces(out, indent);
			at = indent;
			first = true;
			p += 2;
			continue;
		}
		size_t blank = strspn(p, " \n");
		if (blank > 0 && !(p[0] == '\n' && p[1] == '\n')) {
			p += blank;
			continue;
		}
		size_t len = strcspn(p, " \n");
		size_t width = text_width(p, len);
		if (!first && at + 1 + width > WIDTH) {
			strbuf_add_char(out, '\n');
			add_spaces(out, indent);
			at = indent;
		} else if (!first) {
			strbuf_add_char(out, ' ');
			at++;
		}
		strbuf_add(out, p, len);
		at += width;
		first = false;
		p += len;
	}
	strbuf_add_char(out, '\n');
}

static void add_option(struct strbuf *out, const struct option *o)
{
	size_t begin = out->len;
	if (o->short_name)
		strbuf_addf(out, "  -%c, --%s", o->short_name, o->long_name);
	else
		strbuf_addf(out, "      --%s", o->long_name);
	if (o->metavar)
		strbuf_addf(out, " %s", o->metavar);
	size_t width = text_width(out->data + begin, out->len - begin);
	if (width + 2 > COLUMN) {
		strbuf_add_char(out, '\n');
		width = 0;
	}
	add_spaces(out, COLUMN - width);
	struct strbuf text;
	strbuf_init(&text, 4096);
	strbuf_add_str(&text, o->help);
	for (size_t i = 0; o->choices && o->choices[i]; i++)
		strbuf_addf(&text, "%s%s", i ? ", " : ": ", o->choices[i]);
	if (o->standard_note || o->standard)
		strbuf_addf(&text, " (default: %s)", o->standard_note ? o->standard_note : o->standard);
	if (o->attributes & OPTION_REQUIRED)
		strbuf_add_str(&text, " (required)");
	add_wrapped(out, text.data, COLUMN, COLUMN);
	strbuf_release(&text);
}

static void add_options(struct strbuf *out, const struct option *table)
{
	for (const struct option *o = table; o && o->kind != OPTION_END; o++) {
		if (!(o->attributes & OPTION_HIDDEN))
			add_option(out, o);
	}
}

void help_format_command(const struct command *command, struct strbuf *out)
{
	strbuf_addf(out, "Usage: rehearse %s%s%s%s\n", command->name, command->options ? " [options]" : "",
		    *command->arguments ? " " : "", command->arguments);
	if (command->alias)
		strbuf_addf(out, "       rehearse %s … is the same.\n", command->alias);
	strbuf_add_char(out, '\n');
	add_wrapped(out, command->docs ? command->docs : command->summary, 0, 0);
	if (command->options && command->options[0].kind != OPTION_END) {
		strbuf_add_str(out, "\nOptions:\n");
		add_options(out, command->options);
	}
	strbuf_add_str(out, "\nCommon options:\n");
	add_options(out, common_options);
	if (command->examples) {
		strbuf_add_str(out, "\nExamples:\n");
		for (const char *line = command->examples; *line;) {
			size_t len = strcspn(line, "\n");
			strbuf_add_str(out, "  ");
			strbuf_add(out, line, len);
			strbuf_add_char(out, '\n');
			line += len + (line[len] == '\n');
		}
	}
}

void help_format_overview(struct strbuf *out)
{
	strbuf_add_str(out, "Usage: rehearse COMMAND [options]\n\n"
			    "Runs a schema migration under recorded production traffic before production does.\n\n"
			    "Commands:\n");
	for (size_t i = 0; commands[i]; i++) {
		size_t begin = out->len;
		strbuf_addf(out, "  %s", commands[i]->name);
		add_spaces(out, 20 - (out->len - begin));
		struct strbuf text;
		strbuf_init(&text, 400);
		strbuf_add_str(&text, commands[i]->summary);
		if (commands[i]->alias)
			strbuf_addf(&text, " (also: %s)", commands[i]->alias);
		add_wrapped(out, text.data, 20, 20);
		strbuf_release(&text);
	}
	strbuf_add_str(out,
		       "\nrehearse COMMAND --help says more about one of them.\n"
		       "\nExit codes: 0 clear, 1 hurts, 2 cannot tell, 3 invalid run, 64 usage, 65 bad input data,\n"
		       "69 a server or service could not be reached, 70 internal error, 130 interrupted.\n");
}
