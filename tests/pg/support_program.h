/* For tests that run programs: to their end, with what they said kept for the test to look at. */
#ifndef SUPPORT_PROGRAM_H
#define SUPPORT_PROGRAM_H

#include "strbuf.h"

/* What the program that ran last said: both outputs; standard error alone after program_run_apart(). */
extern struct strbuf program_said;
/* Its standard output, after program_run_apart(). */
extern struct strbuf program_shown;

/* Its exit code. Fails the test when it cannot be started. environment: more variables, up to a NULL; or NULL. */
int program_run(const char *const *argv, const char *const *environment);
int program_run_apart(const char *const *argv, const char *const *environment);
/* Fails the test unless the two are the same. */
void program_require(int code, int expected);

#define PROGRAM_RUN(...) program_run((const char *const[]){__VA_ARGS__, NULL}, NULL)

#endif
