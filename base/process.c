/*
 * Running other programs: see process.h.
 *
 * Everything that allocates (the path that PATH leads to, the environment, the groups) is prepared before fork(): in a
 * program with threads the child may call nothing but async-signal-safe functions until exec. A child that cannot exec
 * says why through a pipe that exec closes.
 */
#include "process.h"

#include "clock.h"
#include "mem.h"
#include "stop_flag.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define CANCEL_LOOK_MS 50
#define TERM_GRACE_NS  (5 * NS_PER_S)
#define GROUPS_MAX     64

/* What the child needs, ready before fork(). */
struct launch {
	const struct process_options *options;
	char *program;
	char **environment;
	gid_t groups[GROUPS_MAX];
	int group_count;
	bool change_user;
	bool die_with_parent; /* only where the starting thread outlives the program */
	int stdin_fd;
	int stdout_fd;
	int stderr_fd;
	int report_fd; /* the child writes errno and a step's letter here when it cannot exec */
};

struct launch_failure {
	int error;
	char step; /* 'u' user, 'd' directory, 'x' exec, 'f' files, 'n' namespaces */
};

char *process_find_program(const char *name)
{
	if (strchr(name, '/'))
		return mem_strdup(name);
	const char *path = getenv("PATH");
	if (!path || !*path)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path) {
		size_t len = strcspn(path, ":");
		char *candidate = len ? mem_printf("%.*s/%s", (int)len, path, name) : mem_printf("./%s", name);
		struct stat st; /* a folder can be "executed" too */
		if (access(candidate, X_OK) == 0 && stat(candidate, &st) == 0 && S_ISREG(st.st_mode))
			return candidate;
		free(candidate);
		path += len + (path[len] == ':');
	}
	return NULL;
}

/* True for "NAME=…" with the same NAME. */
static bool same_variable(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");
	return strncmp(a, b, len) == 0 && b[len] == '=';
}

static bool is_left_out(const char *variable, const char *const *without)
{
	for (; without && *without; without++) {
		size_t len = strlen(*without);
		bool prefix = len > 0 && (*without)[len - 1] == '*';
		if (prefix ? strncmp(variable, *without, len - 1) == 0 : same_variable(*without, variable))
			return true;
	}
	return false;
}

/* Our environment with the options' variables in place of those of the same name. The strings are borrowed. */
static char **merge_environment(const char *const *added, const char *const *without)
{
	size_t ours = 0, theirs = 0, used = 0;
	while (environ && environ[ours])
		ours++;
	while (added && added[theirs])
		theirs++;
	char **merged = mem_zalloc(ours + theirs + 1, sizeof(*merged));
	for (size_t i = 0; i < ours; i++) {
		bool replaced = is_left_out(environ[i], without);
		for (size_t j = 0; j < theirs && !replaced; j++)
			replaced = same_variable(added[j], environ[i]);
		if (!replaced)
			merged[used++] = environ[i];
	}
	for (size_t j = 0; j < theirs; j++)
		merged[used++] = (char *)(uintptr_t)added[j];
	return merged;
}

static void find_groups(struct launch *launch)
{
	const struct process_options *o = launch->options;
	launch->groups[0] = o->gid;
	launch->group_count = 1;
	struct passwd entry, *found = NULL;
	char buffer[4096];
	if (getpwuid_r(o->uid, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
		return;
	int count = GROUPS_MAX;
	if (getgrouplist(found->pw_name, o->gid, launch->groups, &count) >= 0)
		launch->group_count = count;
	else
		launch->group_count = 1; /* more groups than we hold: the main one will do */
}

static int launch_prepare(struct launch *launch, const struct process_options *options, struct error *err)
{
	memset(launch, 0, sizeof(*launch));
	launch->options = options;
	launch->report_fd = -1;
	launch->program = process_find_program(options->argv[0]);
	if (!launch->program)
		return error_set(err, ERR_UNAVAILABLE, "%s: no such program in PATH", options->argv[0]);
	launch->environment = merge_environment(options->environment, options->without);
	launch->change_user =
		options->uid != (uid_t)-1 && (options->uid != geteuid() || (geteuid() == 0 && options->uid != 0));
	if (launch->change_user && options->gid == (gid_t)-1) {
		free(launch->program);
		free(launch->environment);
		return error_set(err, ERR_INTERNAL, "%s: a user to run as, and no group", options->argv[0]);
	}
	if (launch->change_user)
		find_groups(launch);
	return 0;
}

static void launch_release(struct launch *launch)
{
	free(launch->program);
	free(launch->environment);
}

__attribute__((noreturn)) static void child_fail(const struct launch *launch, char step)
{
	struct launch_failure failure = {.error = errno, .step = step};
	ssize_t ignored = write(launch->report_fd, &failure, sizeof(failure));
	(void)ignored;
	_exit(127);
}

/* Between fork() and exec: async-signal-safe calls only. */
__attribute__((noreturn)) static void child_run(const struct launch *launch, pid_t parent)
{
	const struct process_options *o = launch->options;
	sigset_t none;
	(void)sigemptyset(&none);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (o->own_session)
		(void)setsid();
	else if (o->own_group)
		(void)setpgid(0, 0);
	if (o->nice)
		(void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + o->nice);
	if (dup2(launch->stdin_fd, 0) < 0 || dup2(launch->stdout_fd, 1) < 0 || dup2(launch->stderr_fd, 2) < 0)
		child_fail(launch, 'f');
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* an older kernel: ours are opened that way anyhow */
	for (size_t i = 0; i < 2; i++) {		/* before the user changes, and with him the right to do so */
		if (o->namespaces[i] > 0 && setns(o->namespaces[i], 0) != 0)
			child_fail(launch, 'n');
	}
	if (launch->change_user && (setgroups((size_t)launch->group_count, launch->groups) != 0 ||
				    setresgid(o->gid, o->gid, o->gid) != 0 || setresuid(o->uid, o->uid, o->uid) != 0))
		child_fail(launch, 'u');
	if (launch->die_with_parent) { /* after setresuid(), which clears it */
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(127);
	}
	if (o->directory && chdir(o->directory) != 0)
		child_fail(launch, 'd');
	(void)execve(launch->program, (char *const *)(uintptr_t)o->argv, launch->environment);
	child_fail(launch, 'x');
}

static int explain_failure(const struct launch *launch, const struct launch_failure *failure, struct error *err)
{
	const struct process_options *o = launch->options;
	errno = failure->error;
	switch (failure->step) {
	case 'u':
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot become user %u", o->argv[0], (unsigned)o->uid);
	case 'd':
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot go to %s", o->argv[0], o->directory);
	case 'n':
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot enter its namespace", o->argv[0]);
	case 'x':
		return error_set_errno(err, ERR_UNAVAILABLE, "%s: cannot run", launch->program);
	default:
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot set up its files", o->argv[0]);
	}
}

/* Forks, and waits until the child has run exec or said why it cannot. */
static int launch_start(struct launch *launch, pid_t *pid, struct error *err)
{
	int report[2];
	if (pipe2(report, O_CLOEXEC) != 0)
		return error_set_errno(err, ERR_INTERNAL, "cannot make a pipe");
	launch->report_fd = report[1];
	pid_t parent = getpid();
	*pid = fork();
	if (*pid < 0) {
		(void)close(report[0]);
		(void)close(report[1]);
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot fork", launch->program);
	}
	if (*pid == 0)
		child_run(launch, parent);
	(void)close(report[1]);
	struct launch_failure failure;
	ssize_t got;
	do {
		got = read(report[0], &failure, sizeof(failure));
	} while (got < 0 && errno == EINTR);
	(void)close(report[0]);
	if (got != (ssize_t)sizeof(failure))
		return 0;
	while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
		;
	return explain_failure(launch, &failure, err);
}

/* Appends what fits below the buffer's ceiling. */
static void keep_output(struct strbuf *output, const char *data, size_t len)
{
	if (!output)
		return;
	size_t room = output->max > output->len ? output->max - output->len : 0;
	strbuf_add(output, data, len < room ? len : room);
}

/* Appends, and lets go of the oldest half when the ceiling is near. */
static void keep_results(struct strbuf *results, const char *data, size_t len)
{
	if (results->len + len > results->max) {
		size_t half = results->len / 2;
		memmove(results->data, results->data + half, results->len - half);
		strbuf_truncate(results, results->len - half);
	}
	keep_output(results, data, len);
}

/* Takes what is in the pipe. False once its writers are gone. */
static bool drain(int fd, struct strbuf *output, struct strbuf *results)
{
	char block[8192];
	for (;;) {
		ssize_t got = read(fd, block, sizeof(block));
		if (got > 0 && results)
			keep_results(results, block, (size_t)got);
		else if (got > 0)
			keep_output(output, block, (size_t)got);
		else if (got == 0 || (errno != EAGAIN && errno != EINTR))
			return false;
		else if (errno == EAGAIN)
			return true;
	}
}

static void signal_child(const struct process_options *options, pid_t pid, int number)
{
	(void)kill(options->own_group ? -pid : pid, number);
}

/* Why a child was stopped, if it was. */
enum stop_reason {
	STOP_NOT,
	STOP_CANCELLED,
	STOP_TOO_LATE
};

static enum stop_reason reason_to_stop(const struct process_options *options, const volatile bool *cancelled,
				       int64_t start_ns)
{
	if (stop_flag_is_set(cancelled))
		return STOP_CANCELLED;
	if (options->timeout_ns > 0 && clock_mono_ns() - start_ns > options->timeout_ns)
		return STOP_TOO_LATE;
	return STOP_NOT;
}

/* A child's two pipes: what it says, and (or -1) its results. */
struct pipes {
	int said;
	int results;
};

/*
 * Until the child has ended: its status in *status. A grandchild that keeps a pipe open does not keep us, unless it is
 * of the group of a child that was stopped: then it ends with it.
 */
static enum stop_reason watch_child(const struct process_options *options, pid_t pid, const struct pipes *pipes,
				    const volatile bool *cancelled, struct strbuf *output, int *status)
{
	int pid_fd = pidfd_open(pid, 0);
	struct pollfd fds[3] = {{.fd = pipes->said, .events = POLLIN},
				{.fd = pipes->results, .events = POLLIN},
				{.fd = pid_fd, .events = POLLIN}};
	struct strbuf *const into[2] = {NULL, options->results};
	int64_t start_ns = clock_mono_ns(), term_ns = 0;
	enum stop_reason stopped = STOP_NOT;
	bool killed = false;
	for (;;) {
		(void)poll(fds, 3, CANCEL_LOOK_MS);
		for (int i = 0; i < 2; i++) {
			if (fds[i].fd >= 0 && !drain(fds[i].fd, output, into[i]))
				fds[i].fd = -1; /* poll() passes over it */
		}
		pid_t got = waitpid(pid, status, WNOHANG);
		if (got == pid || (got < 0 && errno != EINTR))
			break;
		if (stopped == STOP_NOT && (stopped = reason_to_stop(options, cancelled, start_ns)) != STOP_NOT) {
			signal_child(options, pid, SIGTERM);
			term_ns = clock_mono_ns();
		} else if (stopped != STOP_NOT && !killed && clock_mono_ns() - term_ns > TERM_GRACE_NS) {
			signal_child(options, pid, SIGKILL);
			killed = true;
		}
	}
	if (stopped != STOP_NOT && options->own_group)
		(void)kill(-pid, SIGKILL); /* whoever of the group did not hear SIGTERM */
	for (int i = 0; i < 2; i++) {
		if (fds[i].fd >= 0)
			(void)drain(fds[i].fd, output, into[i]);
	}
	if (pid_fd >= 0)
		(void)close(pid_fd);
	return stopped;
}

static void close_pipe(int ends[2])
{
	for (int i = 0; i < 2; i++) {
		if (ends[i] >= 0)
			(void)close(ends[i]);
		ends[i] = -1;
	}
}

static int explain_stop(const struct process_options *options, enum stop_reason stopped, struct error *err)
{
	if (stopped == STOP_TOO_LATE)
		return error_set(err, ERR_UNAVAILABLE, "%s: did not end within %.0f s", options->argv[0],
				 ns_to_s(options->timeout_ns));
	return error_set(err, ERR_INTERRUPTED, "%s: interrupted", options->argv[0]);
}

int process_run(const struct process_options *options, const volatile bool *cancelled, struct strbuf *output,
		int *exit_code, struct error *err)
{
	struct launch launch;
	int rc = launch_prepare(&launch, options, err);
	if (rc)
		return rc;
	int lines[2] = {-1, -1}, results[2] = {-1, -1};
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0 || pipe2(lines, O_CLOEXEC) != 0 || (options->results && pipe2(results, O_CLOEXEC) != 0)) {
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot make a pipe", options->argv[0]);
		goto out;
	}
	(void)fcntl(lines[0], F_SETFL, O_NONBLOCK);
	if (options->results)
		(void)fcntl(results[0], F_SETFL, O_NONBLOCK);
	launch.stdin_fd = options->stdin_fd >= 0 ? options->stdin_fd : null_fd;
	launch.stdout_fd = options->results ? results[1] : options->stdout_fd >= 0 ? options->stdout_fd : lines[1];
	launch.stderr_fd = lines[1];
	launch.die_with_parent = true;
	pid_t pid;
	rc = launch_start(&launch, &pid, err);
	if (rc)
		goto out;
	(void)close(lines[1]);
	lines[1] = -1;
	if (options->results)
		(void)close(results[1]);
	results[1] = -1;
	int status = 0;
	struct pipes pipes = {.said = lines[0], .results = results[0]};
	enum stop_reason stopped = watch_child(options, pid, &pipes, cancelled, output, &status);
	*exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	if (stopped != STOP_NOT)
		rc = explain_stop(options, stopped, err);
out:
	if (null_fd >= 0)
		(void)close(null_fd);
	close_pipe(lines);
	close_pipe(results);
	launch_release(&launch);
	return rc;
}

int process_start(const struct process_options *options, pid_t *pid, struct error *err)
{
	struct launch launch;
	int rc = launch_prepare(&launch, options, err);
	if (rc)
		return rc;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0) {
		rc = error_set_errno(err, ERR_INTERNAL, "/dev/null: cannot open");
	} else {
		launch.stdin_fd = options->stdin_fd >= 0 ? options->stdin_fd : null_fd;
		launch.stdout_fd = options->stdout_fd >= 0 ? options->stdout_fd : null_fd;
		launch.stderr_fd = launch.stdout_fd;
		launch.die_with_parent = options->die_with_us;
		rc = launch_start(&launch, pid, err);
		(void)close(null_fd);
	}
	launch_release(&launch);
	return rc;
}
