/* A program's output as lines that can be shown: ends of lines, escape sequences, bytes that are no text. */
#include "tool_output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char got[2000];

static void take(void *context, const char *line)
{
	(void)context;
	size_t used = strlen(got);
	(void)snprintf(got + used, sizeof(got) - used, "<%s>", line);
}

/* In pieces of every size, so that nothing depends on where a read ends. */
static void expect(const char *text, size_t len, const char *lines, uint64_t count)
{
	for (size_t piece = 1; piece <= len; piece++) {
		struct tool_output output;
		got[0] = '\0';
		tool_output_init(&output, 10, take, NULL);
		for (size_t i = 0; i < len; i += piece)
			tool_output_add(&output, text + i, len - i < piece ? len - i : piece);
		tool_output_finish(&output);
		assert_string_equal(got, lines);
		assert_int_equal(output.line_count, count);
		tool_output_release(&output);
	}
}

#define EXPECT(text, lines, count) expect(text, sizeof(text) - 1, lines, count)

static void test_lines(void **state)
{
	(void)state;
	EXPECT("one\ntwo\n", "<one><two>", 2);
	EXPECT("one\n\nno end", "<one><><no end>", 3);
	EXPECT("\n", "<>", 1);
	EXPECT("dos\r\nlines\r\n", "<dos><lines>", 2);
	EXPECT("10 %\r20 %\rdone\n", "<done>", 1);
	EXPECT("longer than ten\nshort\n", "<longer tha><short>", 2);
}

static void test_escape_sequences(void **state)
{
	(void)state;
	EXPECT("\033[1;31mred\033[0m\n", "<red>", 1);
	EXPECT("\033]0;title\atext\n", "<text>", 1);
	EXPECT("\033]0;title\033\\text\n", "<text>", 1);
	EXPECT("\033(Btext\n", "<text>", 1);
	EXPECT("\033]0;without an end\nnext\n", "<><next>", 2);
	EXPECT("\033[12\nnext\n", "<><next>", 2);
}

static void test_what_is_no_text(void **state)
{
	(void)state;
	EXPECT("a\0b\ac\x7f"
	       "d\te\n",
	       "<abcd e>", 1);
	EXPECT("gr\xc3\xbcn\n", "<gr\xc3\xbcn>", 1);
	EXPECT("\xc2\x9b"
	       "31mred\n",
	       "<31mred>", 1); /* CSI as a C1 control */
	EXPECT("\x80\xff\xc0\x80"
	       "x\xe2\x82\n",
	       "<x>", 1);
	EXPECT("123456789\xc3\xbc\n", "<123456789>", 1); /* the cut goes through a character */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_escape_sequences),
		cmocka_unit_test(test_what_is_no_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
