/* rehearse help: the commands, one of them, the man page, the completion. */
#include "commands.h"
#include "help.h"
#include "output.h"

enum {
	HELP_MAX = 4 * 1024 * 1024
};

static bool man_page, completion;

static const struct option options[] = {
	OPT_FLAG(0, "man", &man_page, "print the manual page of all commands, in roff"),
	OPT_FLAG(0, "completion", &completion, "print a completion script for bash"),
	OPT_END,
};

static int run(const struct command_call *call, struct error *err)
{
	struct strbuf text;
	strbuf_init(&text, HELP_MAX);
	if (man_page) {
		help_format_man(REHEARSE_VERSION, &text);
	} else if (completion) {
		help_format_completion(&text);
	} else if (call->argument_count == 0) {
		help_format_overview(&text);
	} else {
		const struct command *command = command_find(call->arguments[0]);
		if (!command) {
			const char *near = command_suggest(call->arguments[0]);
			return error_set(err, ERR_USAGE, "no command '%s'%s%s%s", call->arguments[0],
					 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
		}
		help_format_command(command, &text);
	}
	output_string(text.data);
	json_t *object = json_pack("{s:s, s:s}", "schema", "rehearse.help/1", "text", text.data);
	output_json(object);
	json_decref(object);
	strbuf_release(&text);
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.summary = "explains the commands",
	.arguments = "[COMMAND]",
	.arguments_max = 1,
	.options = options,
	.run = run,
	.docs = "Lists the commands, or explains one of them with all its options.",
	.examples =
		"rehearse help test-migration\nrehearse help --man | man -l -\nsource <(rehearse help --completion)",
};
