/*
 * Errors that travel up with context. A fallible function returns 0 or a negative code and takes a struct error * last;
 * each level may put its own words in front ("create-replay: postgresql.csv:4711: …"). Library code neither prints nor
 * exits: the command at the top prints the text, one line, and exits with the code.
 */
#ifndef ERROR_H
#define ERROR_H

/* What went wrong, spelled as the exit code that it leads to (docs/exit-codes in README). */
enum error_code {
	ERR_USAGE = 64,	      /* the call's words are off */
	ERR_DATA = 65,	      /* bad input data: a log, a replay file, a migration file */
	ERR_UNAVAILABLE = 69, /* a server or service could not be reached */
	ERR_INTERNAL = 70,    /* our own fault, or the machine's: out of disk, a failed system call */
	ERR_INTERRUPTED = 130 /* the user asked to stop */
};

#define ERROR_TEXT_MAX 1024

struct error {
	int code; /* an enum error_code, 0 when nothing is wrong */
	char text[ERROR_TEXT_MAX];
};

#define ERROR_INIT    \
	{             \
		0, "" \
	}

/* Each sets err (which may not be NULL) and returns -code, so that a caller can say `return error_set(…)`. */
int error_set(struct error *err, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* As above, with ": " and strerror(errno) behind the text. */
int error_set_errno(struct error *err, enum error_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts words and ": " in front of what err says; returns -err->code. */
int error_context(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_clear(struct error *err);

#endif
