/* Any program that migrates a database, run behind the tracing proxy: see command_runner.h. */
#include "command_runner.h"

#include "clock.h"
#include "logging.h"
#include "mem.h"
#include "process.h"
#include "runner_wait.h"
#include "sql_read_only.h"
#include "stop_flag.h"
#include "strbuf.h"
#include "tool_environment.h"
#include "tool_network.h"
#include "tool_process.h"
#include "tracing_proxy.h"

#include <ctype.h>
#include <signal.h>
#include <stdatomic.h>
#include <strings.h>

#define SHELL	       "/bin/sh"
#define SAID_MAX       4000 /* of what the shell says about a line that it does not understand */
#define EXIT_NOT_FOUND 127  /* of a shell (POSIX, 2.8.2) */
#define EXIT_NOT_RUN   126

struct runner {
	const struct command_runner_options *options;
	const struct tool_command *command;
	char *name;
	struct tool_network network;
	struct tracing_proxy *proxy;
};

/* The first word of a shell line when it is plain enough to be a program's name; to be freed, or NULL. */
static char *first_word(const char *line)
{
	line += strspn(line, " \t\n");
	size_t len = strcspn(line, " \t\n;");
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)line[i]) && !strchr("_-./+@", line[i]))
			return NULL; /* an assignment, a quote, an expansion, a group … */
	}
	return len ? mem_strndup(line, len) : NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

/* Whether a shell line is one program and its arguments: then its end is that program's, else the shell's. */
static bool is_one_program(const char *line)
{
	char quote = 0;
	for (const char *p = line; *p; p++) {
		if (quote != '\'' && *p == '\\' && p[1])
			p++;
		else if (quote)
			quote = *p == quote ? 0 : quote;
		else if (*p == '\'' || *p == '"')
			quote = *p;
		else if (strchr("|;&()<>\n#`", *p))
			return false;
	}
	return true;
}

static char *tool_name(const struct tool_command *command)
{
	if (command->name)
		return mem_strdup(command->name);
	if (command->argv)
		return mem_strdup(base_name(command->argv[0]));
	const char *line = command->shell + strspn(command->shell, " \t\n");
	if (strncmp(line, "exec ", 5) == 0)
		line += 5;
	char *word = is_one_program(line) ? first_word(line) : NULL;
	char *name = mem_strdup(word ? base_name(word) : "sh");
	free(word);
	return name;
}

/* Runs a shell that only looks; what it says is in *said. Its exit status, or a negative code. */
static int ask_shell(const char *const *argv, struct strbuf *said, struct error *err)
{
	struct process_options options = PROCESS_OPTIONS_INIT;
	int status = 0;
	options.argv = argv;
	int rc = process_run(&options, NULL, said, &status, err);
	return rc < 0 ? rc : status;
}

static int check_shell_line(const char *line, struct error *err)
{
	struct strbuf said;
	strbuf_init(&said, SAID_MAX);
	int rc = ask_shell((const char *const[]){SHELL, "-n", "-c", line, NULL}, &said, err);
	if (rc > 0) {
		const char *why = strstr(said.data, ": ");
		rc = error_set(err, ERR_USAGE, "the shell does not understand it%s%.*s", why ? ": " : "",
			       why ? (int)strcspn(why + 2, "\n") : 0, why ? why + 2 : "");
	}
	strbuf_clear(&said);
	char *word = rc == 0 ? first_word(line) : NULL;
	/* A shell knows best what it would find: a program, but also its own commands and words. */
	if (word)
		rc = ask_shell((const char *const[]){SHELL, "-c", "command -v -- \"$1\"", "sh", word, NULL}, &said,
			       err);
	if (rc > 0)
		rc = error_set(err, ERR_UNAVAILABLE, "%s cannot be found", word);
	free(word);
	strbuf_release(&said);
	return rc;
}

int command_runner_check(const struct tool_command *command, struct error *err)
{
	if (command->shell && !command->shell[strspn(command->shell, " \t\n")])
		return error_set(err, ERR_USAGE, "the command is empty");
	if (command->shell)
		return check_shell_line(command->shell, err);
	if (!command->argv || !command->argv[0] || !*command->argv[0])
		return error_set(err, ERR_USAGE, "the command is empty");
	if (command->directory && strchr(command->argv[0], '/') && command->argv[0][0] != '/')
		return 0; /* known only from there */
	char *program = process_find_program(command->argv[0]);
	bool found = program && access(program, X_OK) == 0;
	free(program);
	return found ? 0 : error_set(err, ERR_UNAVAILABLE, "%s cannot be found", command->argv[0]);
}

/* A network of its own for the tool, unless it may have ours, or there is none to be had. */
static void isolate(struct runner *runner)
{
	static atomic_flag said = ATOMIC_FLAG_INIT; /* Alembic is run more than once */
	struct error err = ERROR_INIT;
	if (runner->command->open_network || tool_network_init(&runner->network, &err) == 0)
		return;
	if (!atomic_flag_test_and_set(&said))
		log_warn("%s may reach other servers than the clone: %s", runner->name, err.text);
}

static int start_proxy(struct runner *runner, struct error *err)
{
	struct tracing_proxy_options options = {.url = runner->options->url,
						.t0_ns = runner->options->t0_ns,
						.interval_ns = runner->options->interval_ns,
						.statement_no = runner->options->statement_no,
						.listen_fd = runner->network.listen_fd};
	return tracing_proxy_start(&options, &runner->proxy, err);
}

static void stop_statements(void *context)
{
	struct runner *runner = context;
	tracing_proxy_cancel(runner->proxy);
}

static bool show_line(void *context, const char *line)
{
	struct runner *runner = context;
	const struct tool_command *command = runner->command;
	if (command->line && command->line(command->line_context, line))
		return true;
	if (*line)
		log_debug("%s: %s", runner->name, line);
	return false;
}

static int run_tool(struct runner *runner, struct tool_process_result *result, struct error *err)
{
	const struct tool_command *command = runner->command;
	const char *const shell[] = {SHELL, "-c", command->shell, NULL};
	struct tool_place place = {.url = tracing_proxy_url(runner->proxy),
				   .scheme = command->url_scheme,
				   .user = tracing_proxy_user(runner->proxy),
				   .password = tracing_proxy_password(runner->proxy),
				   .database = tracing_proxy_database(runner->proxy),
				   .port = tracing_proxy_port(runner->proxy)};
	struct tool_environment environment;
	struct tool_process_options options = {.process = PROCESS_OPTIONS_INIT,
					       .grace_ns = runner->options->grace_ns,
					       .cancelled = runner->options->cancelled,
					       .stopping = stop_statements,
					       .line = show_line,
					       .context = runner};
	tool_environment_init(&environment, &place, command->url_variables, command->url_variable_count);
	options.process.argv = command->shell ? shell : command->argv;
	options.process.environment = (const char *const *)environment.variables;
	options.process.without = tool_environment_without;
	options.process.directory = command->directory;
	options.process.namespaces[0] = runner->network.user_fd;
	options.process.namespaces[1] = runner->network.net_fd;
	if (runner->options->timeout_ns > 0)
		options.deadline_ns = clock_mono_ns() + runner->options->timeout_ns;
	int rc = tool_process_run(&options, result, err);
	tool_environment_release(&environment);
	return rc;
}

/* The same statement, later, went well: a retry. */
static bool succeeded_later(const struct ledger *ledger, size_t failed)
{
	const char *sql = ledger->statements[failed].sql;
	for (size_t i = failed + 1; i < ledger->statement_count; i++) {
		const struct ledger_statement *s = &ledger->statements[i];
		if (!*s->sqlstate && s->sql && sql && strcmp(s->sql, sql) == 0)
			return true;
	}
	return false;
}

/* What its session did next was to go back to before it: the tool was ready for that. */
static bool was_undone(const struct ledger *ledger, size_t failed)
{
	static const char back[] = "ROLLBACK TO";
	for (size_t i = failed + 1; i < ledger->statement_count; i++) {
		const struct ledger_statement *s = &ledger->statements[i];
		if (s->backend_pid == ledger->statements[failed].backend_pid)
			return s->sql && strncasecmp(s->sql, back, sizeof(back) - 1) == 0;
	}
	return false;
}

/*
 * Statements that failed, and that the tool neither repeated, nor took back to a savepoint, nor only asked by: some
 * tools look whether their table is there by a query that fails.
 */
static size_t count_failed(const struct ledger *ledger)
{
	size_t count = 0;
	for (size_t i = 0; i < ledger->statement_count; i++) {
		const struct ledger_statement *s = &ledger->statements[i];
		if (!*s->sqlstate || !s->sql || succeeded_later(ledger, i) || was_undone(ledger, i))
			continue;
		count += !sql_is_read_only(SQL_POSTGRESQL, (struct span){s->sql, strlen(s->sql)});
	}
	return count;
}

static char *describe_failure(const struct runner *runner, const struct tool_process_result *result)
{
	const char *signal_name = sigdescr_np(result->signal);
	if (result->end == TOOL_DIED)
		return mem_printf("%s died of signal %d (%s)", runner->name, result->signal,
				  signal_name ? signal_name : "unknown");
	return mem_printf("%s ended with exit status %d", runner->name, result->exit_status);
}

/* It says that all went well. Did it? */
static char *describe_doubt(const struct runner *runner, const struct ledger *ledger)
{
	size_t failed = count_failed(ledger);
	if (ledger->statement_count == 0)
		return mem_printf("%s ended well, and sent no statement to the clone", runner->name);
	size_t taken_back = ledger_count_taken_back(ledger);
	if (taken_back)
		return mem_printf("%s ended inside a transaction, which the server then rolled back: of %zu of its "
				  "statements nothing is left",
				  runner->name, taken_back);
	if (failed)
		return mem_printf("%zu statement%s failed, and %s ended as if all had gone well", failed,
				  failed == 1 ? "" : "s", runner->name);
	return NULL;
}

static void judge_end(const struct runner *runner, const struct tool_process_result *result, struct ledger *ledger)
{
	switch (result->end) {
	case TOOL_TIMED_OUT:
		ledger->outcome = LEDGER_TIMEOUT;
		return;
	case TOOL_INTERRUPTED:
		ledger->outcome = LEDGER_CANCELLED;
		return;
	case TOOL_DIED:
	case TOOL_EXITED:
	default:
		break;
	}
	bool good = result->end == TOOL_EXITED && result->exit_status == 0;
	ledger->outcome = good ? LEDGER_OK : LEDGER_FAILED;
	ledger->problem = good ? describe_doubt(runner, ledger) : describe_failure(runner, result);
}

/* Why it failed is known to the tool alone: what it said last goes to the person, and nowhere else. */
static void show_tail(const struct runner *runner, const struct tool_process_result *result,
		      const struct ledger *ledger)
{
	for (size_t i = 0; i < result->tail_count; i++) {
		if (*result->tail[i])
			log_warn("%s: %s", runner->name, result->tail[i]);
	}
	if (runner->network.net_fd > 0 && ledger->statement_count == 0)
		log_info("%s could reach no server but the clone; if it needs the network: --open-network",
			 runner->name);
}

static void record(const struct runner *runner, const struct tool_process_result *result, struct ledger *ledger)
{
	int64_t t0_ns = runner->options->t0_ns;
	if (ledger->statement_count == 0) {
		ledger->start_ns = result->start_ns - t0_ns;
		ledger->end_ns = result->end_ns - t0_ns;
	}
	/* Until it has given up, it is under way. */
	if (result->end != TOOL_EXITED && ledger->end_ns < result->end_ns - t0_ns)
		ledger->end_ns = result->end_ns - t0_ns;
	ledger->tool = (struct ledger_tool){.name = mem_strdup(runner->name),
					    .exit_status = result->exit_status,
					    .signal = result->signal,
					    .output_lines = result->line_count};
	judge_end(runner, result, ledger);
	if (ledger->outcome == LEDGER_FAILED || ledger->outcome == LEDGER_TIMEOUT)
		show_tail(runner, result, ledger);
}

/* What a shell says of a program that it does not find, when nothing came before: no migration failed here. */
static int check_was_found(const struct runner *runner, const struct tool_process_result *result,
			   const struct ledger *ledger, struct error *err)
{
	if (!runner->command->shell || result->end != TOOL_EXITED || ledger->statement_count > 0)
		return 0;
	if (result->exit_status != EXIT_NOT_FOUND && result->exit_status != EXIT_NOT_RUN)
		return 0;
	const char *why = result->tail_count ? result->tail[result->tail_count - 1] : "";
	return error_set(err, ERR_UNAVAILABLE, "the command cannot be %s (exit status %d)%s%s",
			 result->exit_status == EXIT_NOT_FOUND ? "found" : "run", result->exit_status, *why ? ": " : "",
			 why);
}

int command_runner_run(const struct command_runner_options *options, struct ledger *ledger, struct error *err)
{
	struct runner runner = {.options = options, .command = options->command};
	struct tool_process_result result = {0};
	struct error later = ERROR_INIT;
	runner.name = tool_name(runner.command);
	isolate(&runner);
	int rc = start_proxy(&runner, err);
	if (rc == 0) {
		runner_wait_until(options->start_at_ns, options->cancelled);
		if (stop_flag_is_set(options->cancelled)) {
			result.end = TOOL_INTERRUPTED;
			result.exit_status = -1;
			result.start_ns = result.end_ns = clock_mono_ns();
		} else {
			rc = run_tool(&runner, &result, err);
		}
		int stopped = tracing_proxy_stop(runner.proxy, ledger, rc < 0 ? &later : err);
		rc = rc < 0 ? rc : stopped;
	}
	if (rc == 0)
		rc = check_was_found(&runner, &result, ledger, err);
	if (rc == 0)
		record(&runner, &result, ledger);
	tool_process_result_release(&result);
	tool_network_release(&runner.network);
	free(runner.name);
	return rc;
}
