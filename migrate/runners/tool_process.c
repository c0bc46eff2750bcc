/* A migration tool as a process: see tool_process.h. */
#include "tool_process.h"

#include "clock.h"
#include "mem.h"
#include "stop_flag.h"
#include "tool_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS		 50
#define DEFAULT_GRACE_NS (5 * NS_PER_S)

struct watched {
	const struct tool_process_options *options;
	struct tool_process_result *result;
	struct tool_output output;
	pid_t pid; /* also the group's */
	int output_fd;
	int64_t term_ns; /* when it was asked to end, 0: not yet */
	bool killed;
};

static void keep_line(void *context, const char *line)
{
	struct watched *watched = context;
	struct tool_process_result *result = watched->result;
	if (watched->options->line && watched->options->line(watched->options->context, line))
		return;
	if (result->tail_count == TOOL_TAIL_MAX) {
		free(result->tail[0]);
		memmove(result->tail, result->tail + 1, sizeof(*result->tail) * (TOOL_TAIL_MAX - 1));
		result->tail_count--;
	}
	result->tail[result->tail_count++] = mem_strdup(line);
}

/* Takes what is in the pipe. False once its writers are gone. */
static bool take_output(struct watched *watched)
{
	char block[8192];
	for (;;) {
		ssize_t got = read(watched->output_fd, block, sizeof(block));
		if (got > 0)
			tool_output_add(&watched->output, block, (size_t)got);
		else if (got == 0 || (errno != EAGAIN && errno != EINTR))
			return false;
		else if (errno == EAGAIN)
			return true;
	}
}

static void ask_to_end(struct watched *watched, enum tool_end end)
{
	watched->result->end = end;
	watched->term_ns = clock_mono_ns();
	if (watched->options->stopping)
		watched->options->stopping(watched->options->context);
	(void)kill(-watched->pid, SIGTERM);
}

/* Asks it to end when it is time to, and ends it when it does not listen. */
static void look_at_time(struct watched *watched)
{
	const struct tool_process_options *o = watched->options;
	int64_t now_ns = clock_mono_ns();
	int64_t grace_ns = o->grace_ns > 0 ? o->grace_ns : DEFAULT_GRACE_NS;
	if (!watched->term_ns && stop_flag_is_set(o->cancelled))
		ask_to_end(watched, TOOL_INTERRUPTED);
	else if (!watched->term_ns && o->deadline_ns && now_ns >= o->deadline_ns)
		ask_to_end(watched, TOOL_TIMED_OUT);
	else if (watched->term_ns && !watched->killed && now_ns - watched->term_ns > grace_ns) {
		(void)kill(-watched->pid, SIGKILL);
		watched->killed = true;
	}
}

/* Until the tool itself has ended. It is not reaped here: so long its group's number is nobody else's. */
static void watch(struct watched *watched)
{
	int pid_fd = pidfd_open(watched->pid, 0);
	struct pollfd fds[2] = {{.fd = watched->output_fd, .events = POLLIN}, {.fd = pid_fd, .events = POLLIN}};
	for (;;) {
		siginfo_t info = {.si_pid = 0};
		(void)poll(fds, 2, LOOK_MS);
		if (fds[0].fd >= 0 && !take_output(watched))
			fds[0].fd = -1; /* poll() passes over it */
		int rc = waitid(P_PID, (id_t)watched->pid, &info, WEXITED | WNOHANG | WNOWAIT);
		if (info.si_pid == watched->pid || (rc < 0 && errno != EINTR))
			break;
		look_at_time(watched);
	}
	if (pid_fd >= 0)
		(void)close(pid_fd);
	/* What it left behind in its group; then what that had still printed. */
	(void)kill(-watched->pid, SIGKILL);
	if (fds[0].fd >= 0)
		(void)take_output(watched);
}

static void reap(struct watched *watched)
{
	int status = 0;
	struct tool_process_result *result = watched->result;
	while (waitpid(watched->pid, &status, 0) < 0 && errno == EINTR)
		;
	result->end_ns = clock_mono_ns();
	if (WIFEXITED(status)) {
		result->exit_status = WEXITSTATUS(status);
	} else {
		result->signal = WTERMSIG(status);
		if (!watched->term_ns)
			result->end = TOOL_DIED;
	}
}

int tool_process_run(const struct tool_process_options *options, struct tool_process_result *result, struct error *err)
{
	int lines[2];
	struct watched watched = {.options = options, .result = result};
	struct process_options process = options->process;
	memset(result, 0, sizeof(*result));
	result->exit_status = -1;
	if (pipe2(lines, O_CLOEXEC) != 0)
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot make a pipe", process.argv[0]);
	(void)fcntl(lines[0], F_SETFL, O_NONBLOCK);
	process.stdin_fd = -1;
	process.stdout_fd = lines[1];
	process.own_session = true;
	process.die_with_us = true;
	result->start_ns = clock_mono_ns();
	int rc = process_start(&process, &watched.pid, err);
	(void)close(lines[1]);
	if (rc == 0) {
		watched.output_fd = lines[0];
		tool_output_init(&watched.output, TOOL_LINE_MAX, keep_line, &watched);
		watch(&watched);
		reap(&watched);
		tool_output_finish(&watched.output);
		result->line_count = watched.output.line_count;
		tool_output_release(&watched.output);
	}
	(void)close(lines[0]);
	return rc;
}

void tool_process_result_release(struct tool_process_result *result)
{
	for (size_t i = 0; i < result->tail_count; i++)
		free(result->tail[i]);
	memset(result, 0, sizeof(*result));
}
