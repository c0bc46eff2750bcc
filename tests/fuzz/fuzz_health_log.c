/*
 * The reader of health logs, from whole files or chunks (support_chunks.h). Whatever opens is walked to its end, twice,
 * samples and looks, and what it refers to is there.
 */
#include "health_log.h"
#include "health_log_file.h"
#include "support_chunks.h"

#include <unistd.h>

#define SCRATCH "fuzz_health_log.health"

static const struct fuzz_chunks chunks = {.path = SCRATCH,
					  .kind = HEALTH_LOG_KIND,
					  .version = HEALTH_LOG_VERSION,
					  .types = {HEALTH_CHUNK_SAMPLES, HEALTH_CHUNK_LOOKS, HEALTH_CHUNK_EVENTS,
						    HEALTH_CHUNK_SERIES, HEALTH_CHUNK_ACTIVITIES, HEALTH_CHUNK_GAPS,
						    HEALTH_CHUNK_NOTES, HEALTH_CHUNK_SUMMARY, "ELSE"},
					  .type_count = 9,
					  .counted = HEALTH_CHUNK_SAMPLES};

static void walk(struct health_log *log)
{
	struct error err = ERROR_INIT;
	struct health_sample sample;
	struct health_look look;
	while (health_log_next(log, &sample, &err) == 1) {
		for (size_t i = 0; i < sample.count; i++)
			fuzz_check(sample.values[i].series < log->series_count);
	}
	error_clear(&err);
	while (health_log_next_look(log, &look, &err) == 1) {
		for (size_t i = 0; i < look.count; i++)
			fuzz_check(look.active[i].event < log->event_count);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	fuzz_chunks_write(&chunks, data, size);
	struct error err = ERROR_INIT;
	struct health_log *log;
	if (health_log_open(SCRATCH, &log, &err) == 0) {
		walk(log);
		health_log_rewind(log);
		walk(log);
		for (size_t i = 0; i < log->activity_count; i++)
			fuzz_check(log->activities[i].kind < HEALTH_ACTIVITY_KINDS);
		health_log_free(log);
	}
	(void)unlink(SCRATCH);
	return 0;
}
