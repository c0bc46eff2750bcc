/*
 * The rehearse program: finds the command, has its options parsed, runs it, prints its error and exits with its code.
 * Everything else is in the cmd_*.c files and the libraries below them.
 */
#include "commands.h"
#include "help.h"
#include "interrupt.h"
#include "output.h"
#include "secret.h"

#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/*
 * What we hold (recorded literals, passwords) must not land in a core file, nor be read by a debugger of the same user.
 * Leak checkers trace their own process, so a sanitized build stays traceable.
 */
static void protect_memory(void)
{
	struct rlimit none = {0, 0};
	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	(void)umask(077);
}

static bool wants_help(int count, char **words)
{
	for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++) {
		if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)
			return true;
	}
	return false;
}

static int print_help(const struct command *command)
{
	struct strbuf text;
	strbuf_init(&text, (size_t)1024 * 1024);
	if (command)
		help_format_command(command, &text);
	else
		help_format_overview(&text);
	output_string(text.data);
	strbuf_release(&text);
	return output_finish() ? 0 : ERR_INTERNAL;
}

/* True when any command has the option: [rehearse] holds what all of them share. */
static bool known_to_some(const char *name)
{
	for (size_t i = 0; commands[i]; i++) {
		const struct option *const tables[] = {common_options, commands[i]->options, NULL};
		if (options_find(tables, name))
			return true;
	}
	return false;
}

/* A mistyped name in rehearse.ini must not pass for a setting. */
static int check_config(const struct config *config, const struct command *command, const struct option *const *tables,
			struct error *err)
{
	for (size_t i = 0; i < config->count; i++) {
		const struct config_entry *e = &config->entries[i];
		bool good = true;
		if (strcmp(e->section, "rehearse") == 0)
			good = known_to_some(e->name);
		else if (strcmp(e->section, command->name) == 0)
			good = options_find(tables, e->name) != NULL;
		if (!good)
			return error_set(err, ERR_DATA, "%s:%d: [%s] has no option '%s'", config->path, e->line,
					 e->section, e->name);
	}
	return 0;
}

static int check_arguments(const struct command *command, const struct options_result *result, struct error *err)
{
	if (result->argument_count > command->arguments_max)
		return error_set(err, ERR_USAGE, "unexpected argument '%s'; see --help",
				 result->arguments[command->arguments_max]);
	if (result->argument_count < command->arguments_min)
		return error_set(err, ERR_USAGE, "%s is missing; see --help", command->arguments);
	return 0;
}

static int call_command(const struct command *command, const char *name, int count, char **words, struct error *err)
{
	const struct option *const tables[] = {common_options, command->options, NULL};
	struct config config = {0};
	struct options_result result = {0};
	const char *config_path = options_peek("config", count, words);
	if (!config_path)
		config_path = getenv("REHEARSE_CONFIG");
	int rc = config_load(config_path, &config, err);
	if (rc == 0)
		rc = check_config(&config, command, tables, err);
	if (rc == 0)
		rc = options_parse(tables, command->name, count, words, &config, &result, err);
	if (rc == 0)
		rc = check_arguments(command, &result, err);
	if (rc == 0) {
		output_init(name, common_json, common_quiet, common_verbose);
		struct command_call call = {
			.command = command,
			.name = name,
			.arguments = result.arguments,
			.argument_count = result.argument_count,
			.options = &result,
			.config = &config,
			.json = common_json,
			.quiet = common_quiet,
			.verbose = common_verbose,
		};
		rc = command->run(&call, err);
	}
	options_result_release(&result);
	options_release(tables);
	config_release(&config);
	return rc;
}

static int report_error(const struct error *err)
{
	(void)output_finish();
	output_error(err);
	return err->code ? err->code : ERR_INTERNAL;
}

int main(int argc, char **argv)
{
	bool had_password;
	struct error err = ERROR_INIT;
	protect_memory();
	interrupt_install();
	static char **words; /* static: reachable to the end, for leak checkers */
	words = secret_take_arguments(argc, argv, &had_password);
	output_init("", false, false, false);
	const char *name = argc > 1 ? words[1] : NULL;
	if (!name) {
		(void)error_set(&err, ERR_USAGE, "which command? 'rehearse help' lists them");
		return report_error(&err);
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return print_help(NULL);
	if (strcmp(name, "--version") == 0)
		name = "version";
	const struct command *command = command_find(name);
	if (!command) {
		const char *near = command_suggest(name);
		(void)error_set(&err, ERR_USAGE, "no command '%s'%s%s%s", name, near ? "; did you mean " : "",
				near ? near : "; 'rehearse help' lists them", near ? "?" : "");
		return report_error(&err);
	}
	output_init(name, false, false, false);
	if (wants_help(argc - 2, words + 2))
		return print_help(command);
	if (had_password)
		output_warning(
			"a password on a command line can be read by others; put it into a passfile (~/.pgpass)");
	int rc = call_command(command, name, argc - 2, words + 2, &err);
	if (rc < 0)
		return report_error(&err);
	if (!output_finish()) {
		(void)error_set_errno(&err, ERR_INTERNAL, "standard output");
		return report_error(&err);
	}
	return rc;
}
