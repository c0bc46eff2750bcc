/* From the shop's log to three verdicts: see demo_rehearse.h. */
#include "demo_rehearse.h"

#include "mem.h"

#include <string.h>

int demo_recording_make(struct demo_recording *recording, struct error *err)
{
	recording->replay = mem_printf("%s/shop.replay", recording->server->folder);
	return error_set(err, ERR_INTERNAL, "not there yet");
}

void demo_recording_release(struct demo_recording *recording)
{
	free(recording->replay);
	recording->replay = NULL;
}

int demo_rehearse(const struct demo_recording *recording, const struct demo_migration *migration, struct demo_run *run,
		  struct error *err)
{
	(void)recording;
	(void)migration;
	(void)run;
	return error_set(err, ERR_INTERNAL, "not there yet");
}

void demo_run_release(struct demo_run *run)
{
	free(run->outcome);
	free(run->reason);
	free(run->report);
	memset(run, 0, sizeof(*run));
}
