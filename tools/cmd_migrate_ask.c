/* Questions on the terminal for `rehearse migrate`: see cmd_migrate.h. */
#include "cmd_migrate.h"
#include "interrupt.h"
#include "output.h"
#include "stop_flag.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 100

bool migrate_can_ask(void)
{
	return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
}

/* A line from the terminal; its first letter in lower case, 0 for an empty one, -1 at its end or after an interrupt. */
static int read_letter(void)
{
	char line[200];
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	while (!stop_flag_is_set(interrupt_flag())) {
		if (poll(&input, 1, LOOK_MS) <= 0)
			continue;
		ssize_t got = read(STDIN_FILENO, line, sizeof(line) - 1); /* a terminal hands out whole lines */
		if (got <= 0)
			return -1;
		line[got] = '\0';
		const char *first = line + strspn(line, " \t");
		return *first == '\n' || *first == '\0' ? 0 : *first | 0x20;
	}
	return -1;
}

char migrate_ask(const char *question, const char *answers)
{
	char last = answers[strlen(answers) - 1];
	for (;;) {
		output_message("%s", question);
		int letter = read_letter();
		if (letter < 0)
			return last;
		if (letter > 0 && strchr(answers, letter))
			return (char)letter;
	}
}
