/* Any bytes as a stderr log; the first byte chooses the log_line_prefix. */
#include "pg_stderr.h"
#include "support_log.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const prefixes[] = {"%t:%r:%u@%d:[%p]:", "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a",
					       "%m [%p] %q%u@%d ", "%n|%-12u|%10d|%-6p|%-18a|%i|%h|%b|%e|%Q|%%|%q%c> "};
	static struct log_format *formats[4];
	for (size_t i = 0; i < 4 && !formats[3]; i++) {
		struct error err = ERROR_INIT;
		if (pg_stderr_new(prefixes[i], &formats[i], &err) != 0)
			abort();
	}
	if (size > 0)
		fuzz_log(formats[data[0] % 4], data + 1, size - 1);
	return 0;
}
