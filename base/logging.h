/*
 * Messages for the person who runs the program. Library code says something worth knowing here (a clone was started, a
 * lane lost its connection); the command decides where it goes: the default sink drops everything. Safe from any
 * thread. Never a statement literal, never a password.
 */
#ifndef LOGGING_H
#define LOGGING_H

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR
};

typedef void (*log_sink_fn)(enum log_level level, const char *line, void *context);

/* Called once, before threads start. */
void log_set_sink(log_sink_fn sink, void *context);
void log_printf(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_printf(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_printf(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_printf(LOG_LEVEL_WARN, __VA_ARGS__)

#endif
