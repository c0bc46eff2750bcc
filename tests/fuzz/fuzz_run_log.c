/*
 * The reader of run logs, from whole files or chunks (support_chunks.h). Whatever opens is read to its end, and no
 * record holds an outcome or a reason that there is no name for.
 */
#include "run_log.h"
#include "support_chunks.h"

#include <stdlib.h>
#include <unistd.h>

#define SCRATCH "fuzz_run_log.log"

static const struct fuzz_chunks chunks = {.path = SCRATCH,
					  .kind = "RLOG",
					  .version = 1,
					  .types = {"PAGE", "SESS", "ELSE"},
					  .type_count = 3,
					  .counted = "PAGE"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run_record *records;
	struct error err = ERROR_INIT;
	struct run_log *log;
	if (!records)
		records = calloc(RUN_LOG_PAGE, sizeof(*records));
	if (size == 0 || !records)
		return 0;
	fuzz_chunks_write(&chunks, data, size);
	if (run_log_open(SCRATCH, &log, &err) == 0) {
		for (uint32_t i = 0; i < run_log_session_count(log); i++)
			fuzz_check(run_log_session(log, i) != NULL);
		uint64_t pages = (run_log_count(log) + RUN_LOG_PAGE - 1) / RUN_LOG_PAGE;
		uint32_t count = 0;
		for (uint32_t page = 0; page < pages && run_log_read_page(log, page, records, &count, &err) == 0;
		     page++) {
			fuzz_check(count <= RUN_LOG_PAGE);
			for (uint32_t i = 0; i < count; i++)
				fuzz_check(records[i].outcome <= RUN_SKIPPED &&
					   records[i].reason < RUN_SKIP_REASON_COUNT);
		}
		run_log_free(log);
	}
	(void)unlink(SCRATCH);
	return 0;
}
