/* Any bytes as a jsonlog. */
#include "pg_jsonlog.h"
#include "support_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_log(&pg_jsonlog_format, data, size);
	return 0;
}
