/* The list of commands: the one place that knows all of them. */
#include "commands.h"

#include "command.h"

#include <string.h>

bool common_json, common_quiet, common_verbose, common_help;
const char *common_config;

const struct option common_options[] = {
	OPT_FLAG(0, "json", &common_json, "print the result as one JSON object on standard output"),
	OPT_FLAG('q', "quiet", &common_quiet, "print no messages and no progress; warnings stay"),
	OPT_FLAG('v', "verbose", &common_verbose, "print more about what goes on"),
	OPT_STRING(0, "config", &common_config, "FILE", "read defaults from FILE",
		   .standard_note = "./rehearse.ini, then ~/.config/rehearse.ini"),
	OPT_FLAG('h', "help", &common_help, "print this page"),
	OPT_END,
};

const struct command *const commands[] = {
	&cmd_create_replay,  &cmd_show_replay,
	&cmd_run_replay,     &cmd_compare,
	&cmd_report,	     &cmd_test_migration,
	&cmd_calibrate,	     &cmd_create_snapshot,
	&cmd_list_snapshots, &cmd_destroy_snapshot,
	&cmd_cleanup,	     &cmd_migrate,
	&cmd_trace,	     &cmd_alembic_upgrade,
	&cmd_demo,	     &cmd_help,
	&cmd_version,	     NULL,
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
		if (commands[i]->alias && strcmp(commands[i]->alias, name) == 0)
			return commands[i];
	}
	return NULL;
}

const char *command_suggest(const char *name)
{
	const char *names[128];
	size_t count = 0;
	for (size_t i = 0; commands[i] && count < 126; i++) {
		names[count++] = commands[i]->name;
		if (commands[i]->alias)
			names[count++] = commands[i]->alias;
	}
	names[count] = NULL;
	return options_suggest(name, names);
}
