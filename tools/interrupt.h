/*
 * Ctrl-C, and the signals like it (SIGTERM, SIGHUP). The first asks: the flag is set, and the command stops what it
 * does, keeps partial results, removes its clones and exits with 130. A second one, at least half a second later, ends
 * the process at once. (timeout(1) sends its signal twice in a row; that is one request.)
 */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <stdbool.h>

/* Installs the handlers, ignores SIGPIPE. */
void interrupt_install(void);
/* For library calls that take a flag to look at. */
const volatile bool *interrupt_flag(void);
bool interrupt_requested(void);
/*
 * While it is on, the first signal ends the process: for what takes long, looks at no flag, and has nothing to tidy up
 * (it only reads).
 */
void interrupt_end_at_once(bool on);

#endif
