/* A migration's statements, shown while it runs: see migration_display.h. */
#include "migration_display.h"

#include "clock.h"
#include "output.h"

#define LOOK_NS (100 * NS_PER_MS)

static void *show_progress(void *context)
{
	struct migration_display *display = context;
	while (!atomic_load(&display->over)) {
		output_progress((int64_t)atomic_load(&display->statement_no), 0);
		clock_sleep_until_ns(clock_mono_ns() + LOOK_NS);
	}
	return NULL;
}

void migration_display_begin(struct migration_display *display)
{
	output_progress_begin("migrating", "statements", 1);
	display->runs = pthread_create(&display->thread, NULL, show_progress, display) == 0;
}

void migration_display_end(struct migration_display *display)
{
	atomic_store(&display->over, true);
	if (display->runs)
		(void)pthread_join(display->thread, NULL);
	output_progress_end();
}
