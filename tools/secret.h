/*
 * Passwords on the command line: other users of the machine can read it, and so could a log. A URL with a password is
 * accepted, taken out of sight, and warned about. So is the address of a webhook, which holds its token; that one is
 * not warned about: it is what --notify is for.
 */
#ifndef SECRET_H
#define SECRET_H

#include "strbuf.h"

#include <stdbool.h>

/*
 * Returns a copy of argv (each word and the array to be freed by nobody: they live as long as the process) and
 * overwrites the passwords in the original. *found says whether there was one.
 */
char **secret_take_arguments(int argc, char **argv, bool *found);
/* Overwrites with 'x' the password in a URL: behind "user:" before "@", and of a parameter "password=". True if any. */
bool secret_scrub(char *text);

#endif
