/* How many statements of a migration have begun, shown while it runs with nothing beside it. */
#ifndef MIGRATION_DISPLAY_H
#define MIGRATION_DISPLAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct migration_display {
	_Atomic uint32_t statement_no; /* for the runner to set */
	pthread_t thread;
	atomic_bool over;
	bool runs;
};

/* Zeroed before; ended by migration_display_end(). */
void migration_display_begin(struct migration_display *display);
void migration_display_end(struct migration_display *display);

#endif
