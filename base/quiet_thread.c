/* A thread that takes no signals: see quiet_thread.h. */
#include "quiet_thread.h"

#include <errno.h>
#include <signal.h>

int quiet_thread_start(pthread_t *thread, void *(*run)(void *), void *argument, const char *what, struct error *err)
{
	sigset_t all, before;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* a thread begins with its starter's */
	int failed = pthread_create(thread, NULL, run, argument);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!failed)
		return 0;
	errno = failed;
	return error_set_errno(err, ERR_INTERNAL, "%s: cannot start a thread", what);
}
