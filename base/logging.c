/* Messages for the person who runs the program: see logging.h. */
#include "logging.h"

#include <pthread.h>
#include <stdarg.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static log_sink_fn current_sink;
static void *current_context;

void log_set_sink(log_sink_fn sink, void *context)
{
	(void)pthread_mutex_lock(&lock);
	current_sink = sink;
	current_context = context;
	(void)pthread_mutex_unlock(&lock);
}

void log_printf(enum log_level level, const char *format, ...)
{
	char line[2048];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (char *p = line; *p; p++) {
		if ((unsigned char)*p < 0x20)
			*p = ' ';
	}
	(void)pthread_mutex_lock(&lock);
	if (current_sink)
		current_sink(level, line, current_context);
	(void)pthread_mutex_unlock(&lock);
}
