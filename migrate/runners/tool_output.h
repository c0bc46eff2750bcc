/*
 * What a program prints, as lines that can be shown on a terminal: without escape sequences and control characters,
 * cut to a length, and of a line that the program overwrites (carriage return) what it says last.
 */
#ifndef TOOL_OUTPUT_H
#define TOOL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tool_output {
	void (*line)(void *context, const char *line); /* one whole line, without its end */
	void *context;
	size_t line_max; /* bytes of a line that are kept */
	uint64_t line_count;
	char *text; /* of the line under way */
	size_t len;
	bool any;	/* the line has begun */
	bool returned;	/* a carriage return was the last character */
	uint8_t escape; /* where in an escape sequence, 0: in none */
};

void tool_output_init(struct tool_output *output, size_t line_max, void (*line)(void *context, const char *line),
		      void *context);
void tool_output_release(struct tool_output *output);
void tool_output_add(struct tool_output *output, const char *data, size_t len);
/* There is no more: a last line without an end is one too. */
void tool_output_finish(struct tool_output *output);

#endif
