/* Alembic on a clone, traced: see alembic_runner.h. */
#include "alembic_runner.h"

#include "alembic_driver.h"
#include "clock.h"
#include "logging.h"
#include "mem.h"
#include "process.h"
#include "strbuf.h"
#include "tool_environment.h"
#include "tool_network.h"
#include "tool_process.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK		"rehearse-alembic "
#define LOOK_TIMEOUT_NS (120 * NS_PER_S)
#define REVISIONS_MAX	1000
#define ARGUMENTS	8 /* of the driver, before those of -x, and the end */

/* What one run of the driver says. */
struct said {
	struct alembic_state *state; /* may be NULL */
	size_t databases;
	char *without; /* why Alembic could not be imported */
};

static void revisions_release(struct alembic_revisions *revisions)
{
	for (size_t i = 0; i < revisions->count; i++)
		free(revisions->items[i]);
	free(revisions->items);
	memset(revisions, 0, sizeof(*revisions));
}

void alembic_state_release(struct alembic_state *state)
{
	revisions_release(&state->heads);
	revisions_release(&state->current);
	revisions_release(&state->missing);
}

static void revisions_add(struct alembic_revisions *revisions, const char *id)
{
	if (revisions->count >= REVISIONS_MAX)
		return;
	MEM_GROW(revisions->items, revisions->count, revisions->capacity);
	revisions->items[revisions->count++] = mem_strdup(id);
}

static const char *after_word(const char *line, const char *word)
{
	size_t len = strlen(word);
	return strncmp(line, word, len) == 0 && line[len] == ' ' ? line + len + 1 : NULL;
}

/* A line of the driver's; false for those of Alembic and the project. */
static bool read_line(void *context, const char *line)
{
	struct said *said = context;
	const char *rest;
	if (strncmp(line, MARK, strlen(MARK)) != 0)
		return *line == '\0';
	line += strlen(MARK);
	if (strcmp(line, "database") == 0) {
		said->databases++;
	} else if ((rest = after_word(line, "without")) != NULL) {
		free(said->without);
		said->without = mem_strdup(rest);
	} else if (said->state) {
		if ((rest = after_word(line, "head")) != NULL)
			revisions_add(&said->state->heads, rest);
		else if ((rest = after_word(line, "current")) != NULL)
			revisions_add(&said->state->current, rest);
		else if ((rest = after_word(line, "missing")) != NULL)
			revisions_add(&said->state->missing, rest);
	}
	return true;
}

/* The interpreter of a script, when that is a Python: "#!/usr/bin/python3 -s". To be freed; else NULL. */
static char *interpreter_of(const char *script)
{
	char line[512];
	int fd = open(script, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	ssize_t got = read(fd, line, sizeof(line) - 1);
	(void)close(fd);
	line[got > 0 ? got : 0] = '\0';
	if (strncmp(line, "#!", 2) != 0)
		return NULL;
	char *path = line + 2 + strspn(line + 2, " \t");
	path[strcspn(path, " \t\r\n")] = '\0';
	const char *slash = strrchr(path, '/');
	return slash && strncmp(slash + 1, "python", 6) == 0 ? mem_strdup(path) : NULL;
}

/* To be freed; NULL when there is none. */
static char *find_python(const struct alembic_project *project)
{
	if (project->python)
		return process_find_program(project->python);
	char *script = process_find_program("alembic");
	char *python = script ? interpreter_of(script) : NULL;
	free(script);
	return python ? python : process_find_program("python3");
}

static const char *target_of(const struct alembic_project *project)
{
	return project->revision ? project->revision : "heads";
}

/* The driver's command line; to be freed, the strings are borrowed. */
static const char **driver_arguments(const struct alembic_project *project, const char *python, const char *what)
{
	const char **argv = mem_zalloc(ARGUMENTS + project->x_count, sizeof(*argv));
	size_t n = 0;
	argv[n++] = python;
	argv[n++] = "-c";
	argv[n++] = alembic_driver;
	argv[n++] = what;
	argv[n++] = project->config ? project->config : "alembic.ini";
	argv[n++] = project->section ? project->section : "alembic";
	argv[n++] = target_of(project);
	for (size_t i = 0; i < project->x_count; i++)
		argv[n++] = project->x[i];
	return argv;
}

static int no_python(const struct alembic_project *project, const char *why, struct error *err)
{
	return error_set(err, ERR_UNAVAILABLE, "Alembic cannot be found (%s); --python names the Python that has it",
			 why		   ? why
			 : project->python ? project->python
					   : "no alembic and no python3 in PATH");
}

static bool pass_line(void *context, const char *line)
{
	if (read_line(context, line))
		return true;
	log_debug("alembic: %s", line);
	return false;
}

static void show_tail(const struct tool_process_result *result)
{
	for (size_t i = 0; i < result->tail_count; i++) {
		log_warn("alembic: %s", result->tail[i]);
	}
}

int alembic_runner_check(const struct alembic_project *project, struct error *err)
{
	struct said said = {0};
	struct tool_process_result result = {0};
	struct tool_network network = {0};
	struct error ignored = ERROR_INIT;
	struct stat st;
	if (project->directory && (stat(project->directory, &st) != 0 || !S_ISDIR(st.st_mode)))
		return error_set(err, ERR_DATA, "%s: no such folder", project->directory);
	char *python = find_python(project);
	if (!python)
		return no_python(project, NULL, err);
	if (!project->open_network)
		(void)tool_network_init(&network, &ignored); /* alembic_runner_look() says when there is none */
	const char **argv = driver_arguments(project, python, "check");
	struct tool_process_options options = {.process = PROCESS_OPTIONS_INIT,
					       .deadline_ns = clock_mono_ns() + LOOK_TIMEOUT_NS,
					       .line = pass_line,
					       .context = &said};
	options.process.argv = argv;
	options.process.without = tool_environment_without;
	options.process.directory = project->directory;
	options.process.namespaces[0] = network.user_fd;
	options.process.namespaces[1] = network.net_fd;
	int rc = tool_process_run(&options, &result, err);
	if (rc == 0 && said.without) {
		rc = no_python(project, said.without, err);
	} else if (rc == 0 && (result.end != TOOL_EXITED || result.exit_status != 0)) {
		show_tail(&result);
		rc = error_set(err, ERR_DATA, "Alembic cannot load the project, or does not know '%s'",
			       target_of(project));
	}
	tool_process_result_release(&result);
	tool_network_release(&network);
	free(said.without);
	free(argv);
	free(python);
	return rc;
}

/* One run of the driver behind the proxy. */
static int drive(const struct alembic_project *project, const struct command_runner_options *options, const char *what,
		 struct said *said, struct ledger *ledger, struct error *err)
{
	char *python = find_python(project);
	if (!python)
		return no_python(project, NULL, err);
	const char **argv = driver_arguments(project, python, what);
	bool changes = strcmp(what, "upgrade") == 0 || strcmp(what, "downgrade") == 0;
	struct tool_command command = {.argv = argv,
				       .name = "alembic",
				       .directory = project->directory,
				       .url_scheme = project->url_scheme,
				       .url_variables = project->url_variables,
				       .url_variable_count = project->url_variable_count,
				       .open_network = project->open_network,
				       .line = read_line,
				       .line_context = said};
	struct command_runner_options run = *options;
	run.command = &command;
	if (!changes) {
		run.start_at_ns = 0;
		run.timeout_ns = LOOK_TIMEOUT_NS;
		run.statement_no = NULL;
	}
	int rc = command_runner_run(&run, ledger, err);
	free(argv);
	free(python);
	return rc;
}

static int explain_look(const struct alembic_project *project, const struct said *said, const struct ledger *ledger,
			struct error *err)
{
	if (said->without)
		return no_python(project, said->without, err);
	if (ledger->outcome == LEDGER_CANCELLED)
		return error_set(err, ERR_INTERRUPTED, "interrupted");
	if (ledger->outcome == LEDGER_TIMEOUT)
		return error_set(err, ERR_DATA, "Alembic does not tell the clone's revision in time");
	if (ledger->statement_count == 0)
		return error_set(err, ERR_USAGE,
				 "Alembic did not come to the clone: env.py must take its URL from sqlalchemy.url, "
				 "DATABASE_URL, or a variable named with --url-variable; nothing was changed");
	if (said->databases > 1)
		return error_set(err, ERR_USAGE,
				 "env.py migrates %zu databases; name one of them, as by -x or --section",
				 said->databases);
	if (ledger->outcome != LEDGER_OK)
		return error_set(err, ERR_DATA, "Alembic cannot tell the clone's revision; nothing was changed");
	return 0;
}

int alembic_runner_look(const struct alembic_project *project, const struct command_runner_options *options,
			struct alembic_state *state, struct error *err)
{
	struct said said = {.state = state};
	struct ledger ledger;
	ledger_init(&ledger);
	memset(state, 0, sizeof(*state));
	int rc = drive(project, options, "before", &said, &ledger, err);
	if (rc == 0)
		rc = explain_look(project, &said, &ledger, err);
	free(said.without);
	ledger_release(&ledger);
	return rc;
}

/* "a1b2, c3d4"; to be freed. */
static char *join(const struct alembic_revisions *revisions)
{
	struct strbuf text;
	strbuf_init(&text, 1000);
	for (size_t i = 0; i < revisions->count; i++)
		strbuf_addf(&text, "%s%s", i ? ", " : "", revisions->items[i]);
	return strbuf_detach(&text);
}

static void record_miss(const struct alembic_state *state, struct ledger *ledger)
{
	char *missing = join(&state->missing);
	char *current = join(&state->current);
	ledger->outcome = LEDGER_FAILED;
	free(ledger->problem);
	ledger->problem = mem_printf("alembic ended well, and the database is at %s, without %s",
				     *current ? current : "no revision", missing);
	free(missing);
	free(current);
}

int alembic_runner_run(const struct alembic_project *project, const struct command_runner_options *options,
		       struct ledger *ledger, struct alembic_state *after, struct error *err)
{
	struct alembic_state state = {0};
	struct said said = {0}, asked = {.state = &state};
	struct ledger ignored;
	struct error why = ERROR_INIT;
	ledger_init(&ignored);
	int rc = drive(project, options, project->downgrade ? "downgrade" : "upgrade", &said, ledger, err);
	if (rc == 0 && ledger->outcome == LEDGER_OK) {
		if (drive(project, options, "after", &asked, &ignored, &why) < 0 ||
		    explain_look(project, &asked, &ignored, &why) < 0) {
			free(ledger->problem);
			ledger->problem = mem_printf("whether the target was reached is not known: %s", why.text);
		} else if (state.missing.count) {
			record_miss(&state, ledger);
		}
	}
	ledger_release(&ignored);
	free(said.without);
	free(asked.without);
	if (after)
		*after = state;
	else
		alembic_state_release(&state);
	return rc;
}
