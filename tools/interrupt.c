/* Ctrl-C and its like: see interrupt.h. */
#include "interrupt.h"

#include "clock.h"
#include "stop_flag.h"

#include <signal.h>
#include <stdint.h>
#include <unistd.h>

static volatile bool requested;
static volatile int64_t requested_ns;
static volatile bool at_once;

static void handle_signal(int number)
{
	(void)number;
	static const char message[] = "rehearse: interrupted\n";
	int64_t now_ns = clock_mono_ns();
	if (stop_flag_is_set(&at_once)) {
		ssize_t ignored = write(STDERR_FILENO, message, sizeof(message) - 1);
		(void)ignored;
		_exit(130);
	}
	if (!stop_flag_is_set(&requested)) {
		requested_ns = now_ns;
		stop_flag_set(&requested);
		return;
	}
	if (now_ns - requested_ns >= NS_PER_S / 2)
		_exit(130);
}

void interrupt_install(void)
{
	struct sigaction action = {.sa_handler = handle_signal, .sa_flags = SA_RESTART};
	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	(void)sigaction(SIGPIPE, &ignore, NULL);
	/* A file over its limit is an error of write(), with a message. */
	(void)sigaction(SIGXFSZ, &ignore, NULL);
}

const volatile bool *interrupt_flag(void)
{
	return &requested;
}

void interrupt_end_at_once(bool on)
{
	if (on)
		stop_flag_set(&at_once);
	else
		stop_flag_clear(&at_once);
}

bool interrupt_requested(void)
{
	return stop_flag_is_set(&requested);
}
