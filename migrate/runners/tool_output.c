/* A program's output as lines for a terminal: see tool_output.h. Escape sequences have the form of ECMA-48. */
#include "tool_output.h"

#include "mem.h"

/* Where in an escape sequence. */
enum {
	ESCAPE_NONE,
	ESCAPE_BEGUN, /* after ESC */
	ESCAPE_CSI,   /* after ESC [, until a byte from @ to ~ */
	ESCAPE_STRING /* after ESC ], P, X, ^ or _, until BEL or ESC \ */
};

void tool_output_init(struct tool_output *output, size_t line_max, void (*line)(void *context, const char *line),
		      void *context)
{
	memset(output, 0, sizeof(*output));
	output->line = line;
	output->context = context;
	output->line_max = line_max;
	output->text = mem_alloc(line_max + 4);
}

void tool_output_release(struct tool_output *output)
{
	free(output->text);
	memset(output, 0, sizeof(*output));
}

/* Length of the character that begins here when it may be shown: UTF-8 without C1 controls; 0 when it may not. */
static size_t shown_length(const char *text, size_t left)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	if (p[0] >= 0x80 && p[0] < 0xc2)
		return 0;
	if (len == 0 || len > left || p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0))
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

/* Keeps of the line what may be shown; a byte that may not is left out. */
static void clean_line(struct tool_output *output)
{
	size_t kept = 0;
	for (size_t i = 0; i < output->len;) {
		size_t n = shown_length(output->text + i, output->len - i);
		memmove(output->text + kept, output->text + i, n);
		kept += n;
		i += n ? n : 1;
	}
	output->text[kept] = '\0';
	output->len = kept;
}

static void end_line(struct tool_output *output)
{
	clean_line(output);
	output->line_count++;
	if (output->line)
		output->line(output->context, output->text);
	output->len = 0;
	output->any = false;
}

/* True when the byte belonged to an escape sequence. */
static bool pass_escape(struct tool_output *output, char c)
{
	switch (output->escape) {
	case ESCAPE_BEGUN:
		if (c == '[')
			output->escape = ESCAPE_CSI;
		else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
			output->escape = ESCAPE_STRING;
		else if (c < 0x20 || c > 0x2f) /* else an intermediate byte: one more follows */
			output->escape = ESCAPE_NONE;
		return true;
	case ESCAPE_CSI:
		if (c >= 0x40 && c <= 0x7e)
			output->escape = ESCAPE_NONE;
		return c != '\n';
	case ESCAPE_STRING:
		if (c == '\a')
			output->escape = ESCAPE_NONE;
		else if (c == '\033')
			output->escape = ESCAPE_BEGUN;
		return c != '\n';
	default:
		if (c == '\033')
			output->escape = ESCAPE_BEGUN;
		return c == '\033';
	}
}

void tool_output_add(struct tool_output *output, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = data[i];
		if (pass_escape(output, c))
			continue;
		if (c == '\n') {
			output->escape = ESCAPE_NONE;
			output->returned = false;
			end_line(output);
			continue;
		}
		if (output->returned)
			output->len = 0;
		output->returned = c == '\r';
		output->any = true;
		if (c == '\t')
			c = ' ';
		if (c != '\r' && output->len < output->line_max)
			output->text[output->len++] = c;
	}
}

void tool_output_finish(struct tool_output *output)
{
	if (output->any)
		end_line(output);
}
