/* The manual page, in roff's man macros (man-pages(7), groff_man(7)): see help.h. */
#include "help.h"

#include <string.h>

/* Text for roff: backslashes, hyphens (which would become typographic ones) and a dot or quote at a line's beginning.
 */
static void add_roff(struct strbuf *out, const char *text)
{
	bool line_begin = out->len == 0 || out->data[out->len - 1] == '\n';
	for (const char *c = text; *c; c++) {
		if (line_begin && (*c == '.' || *c == '\''))
			strbuf_add_str(out, "\\&");
		line_begin = *c == '\n';
		if (*c == '\\')
			strbuf_add_str(out, "\\e");
		else if (*c == '-')
			strbuf_add_str(out, "\\-");
		else
			strbuf_add_char(out, *c);
	}
}

/* Paragraphs parted by empty lines. */
static void add_paragraphs(struct strbuf *out, const char *text)
{
	const char *p = text;
	while (*p) {
		const char *gap = strstr(p, "\n\n");
		size_t len = gap ? (size_t)(gap - p) : strlen(p);
		struct strbuf part;
		strbuf_init(&part, 65536);
		strbuf_add(&part, p, len);
		strbuf_add_str(out, ".PP\n");
		add_roff(out, part.data);
		strbuf_add_char(out, '\n');
		strbuf_release(&part);
		p += len + (gap ? 2 : 0);
	}
}

static void add_option(struct strbuf *out, const struct option *o)
{
	strbuf_add_str(out, ".TP\n");
	if (o->short_name)
		strbuf_addf(out, "\\fB\\-%c\\fR, ", o->short_name);
	strbuf_add_str(out, "\\fB\\-\\-");
	add_roff(out, o->long_name);
	strbuf_add_str(out, "\\fR");
	if (o->metavar)
		strbuf_addf(out, " \\fI%s\\fR", o->metavar);
	strbuf_add_char(out, '\n');
	add_roff(out, o->help);
	for (size_t i = 0; o->choices && o->choices[i]; i++) {
		strbuf_add_str(out, i ? ", " : ": ");
		add_roff(out, o->choices[i]);
	}
	if (o->attributes & OPTION_REQUIRED)
		strbuf_add_str(out, " (required)");
	if (o->standard_note || o->standard) {
		strbuf_add_str(out, ". Default: ");
		add_roff(out, o->standard_note ? o->standard_note : o->standard);
	}
	strbuf_add_str(out, ".\n");
}

static void add_options(struct strbuf *out, const struct option *table)
{
	for (const struct option *o = table; o && o->kind != OPTION_END; o++) {
		if (!(o->attributes & OPTION_HIDDEN))
			add_option(out, o);
	}
}

static void add_command(struct strbuf *out, const struct command *command)
{
	strbuf_add_str(out, ".SS rehearse ");
	add_roff(out, command->name);
	if (command->options)
		strbuf_add_str(out, " [options]");
	if (*command->arguments) {
		strbuf_add_char(out, ' ');
		add_roff(out, command->arguments);
	}
	strbuf_add_char(out, '\n');
	add_paragraphs(out, command->docs ? command->docs : command->summary);
	if (command->alias) {
		strbuf_add_str(out, ".PP\n\\fBrehearse ");
		add_roff(out, command->alias);
		strbuf_add_str(out, "\\fR is the same command.\n");
	}
	add_options(out, command->options);
	if (command->examples) {
		strbuf_add_str(out, ".PP\nExamples:\n.PP\n.nf\n.RS\n");
		add_roff(out, command->examples);
		strbuf_add_str(out, "\n.RE\n.fi\n");
	}
}

static const char opening[] =
	".SH NAME\n"
	"rehearse \\- run a schema migration under recorded production traffic before production does\n"
	".SH SYNOPSIS\n"
	".B rehearse\n"
	".I COMMAND\n"
	"[\\fIoptions\\fR] [\\fIarguments\\fR]\n"
	".SH DESCRIPTION\n"
	"Rehearse turns downloaded query logs into a replay file, drives that file with its original timing against "
	"two\n"
	"clones at once, a baseline and a migrating one, runs the migration on the second, and judges from the "
	"difference\n"
	"what the migration would have done to the users.\n"
	".SH COMMANDS\n";

static const char closing[] =
	".SH FILES\n"
	".TP\n"
	"\\fI./rehearse.ini\\fR, else \\fI$XDG_CONFIG_HOME/rehearse.ini\\fR\n"
	"Defaults for options: section \\fB[rehearse]\\fR for every command, \\fB[COMMAND]\\fR for one. Names are "
	"those of\n"
	"the long options. Section \\fB[thresholds]\\fR holds the limits that a verdict is judged by.\n"
	".SH ENVIRONMENT\n"
	".TP\n"
	"\\fBREHEARSE_\\fIOPTION_NAME\\fR\n"
	"The default of \\fB\\-\\-option\\-name\\fR, before rehearse.ini and behind the command line.\n"
	".TP\n"
	"\\fBPGPASSFILE\\fR, \\fBPGSSLMODE\\fR and the others of libpq\n"
	"hold for connections to PostgreSQL. Passwords belong into a passfile, not into a URL.\n"
	".SH EXIT STATUS\n"
	".TP\n.B 0\nclear\n.TP\n.B 1\nhurts\n.TP\n.B 2\ncannot tell\n.TP\n.B 3\ninvalid run\n.TP\n.B 64\nusage\n"
	".TP\n.B 65\nbad input data\n.TP\n.B 69\na server or service could not be reached\n.TP\n.B 70\ninternal error\n"
	".TP\n.B 130\ninterrupted; partial results are kept, clones removed\n";

void help_format_man(const char *version, struct strbuf *out)
{
	strbuf_addf(out, ".TH REHEARSE 1 \"\" \"rehearse %s\" \"User Commands\"\n", version);
	strbuf_add_str(out, opening);
	for (size_t i = 0; commands[i]; i++)
		add_command(out, commands[i]);
	strbuf_add_str(out, ".SH COMMON OPTIONS\n");
	add_options(out, common_options);
	strbuf_add_str(out, closing);
}
