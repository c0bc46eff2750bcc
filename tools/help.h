/* What people read about the options, made from the tables: --help, the man page, the bash completion. */
#ifndef HELP_H
#define HELP_H

#include "command.h"
#include "strbuf.h"

/* The list of commands. */
void help_format_overview(struct strbuf *out);
/* rehearse COMMAND --help */
void help_format_command(const struct command *command, struct strbuf *out);
/* The manual page of all commands, in roff. */
void help_format_man(const char *version, struct strbuf *out);
/* A bash completion script. */
void help_format_completion(struct strbuf *out);

#endif
