/* Any log_line_prefix (the first line) against any line (the rest): every field lies in the line, before the message.
 */
#include "log_line_prefix.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
	if (!right)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	char text[PREFIX_TEXT_MAX + 8];
	if (!end || (size_t)(end - data) >= sizeof(text))
		return 0;
	size_t len = (size_t)(end - data);
	memcpy(text, data, len);
	text[len] = '\0';
	struct log_line_prefix prefix;
	struct error err = ERROR_INIT;
	if (log_line_prefix_init(&prefix, text, &err) != 0)
		return 0;
	/* a line at an address of its own, with nothing behind it */
	size_t line_len = size - len - 1;
	char *line = malloc(line_len ? line_len : 1);
	check(line != NULL);
	memcpy(line, end + 1, line_len);
	struct prefix_names names = {.count = 0};
	prefix_names_learn(&names, (struct span){line, line_len < 9 ? line_len : 9});
	struct prefix_match match;
	if (log_line_prefix_match(&prefix, &names, (struct span){line, line_len}, &match)) {
		check(match.used <= line_len && match.severity.len > 0);
		for (char c = 'A'; c <= 'z'; c++) {
			struct span field = prefix_field(&match, c);
			check(!field.p || (field.p >= line && field.p + field.len <= line + match.used));
		}
	}
	prefix_names_release(&names);
	free(line);
	return 0;
}
