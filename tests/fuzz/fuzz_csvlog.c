/* Any bytes as a csvlog. */
#include "pg_csvlog.h"
#include "support_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_log(&pg_csvlog_format, data, size);
	return 0;
}
