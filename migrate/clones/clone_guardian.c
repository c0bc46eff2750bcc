/* The process that cleans up after us: see clone_guardian.h. */
#include "clone_guardian.h"

#include "clone_remove.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* By the records as they are now: what was learned since (a URL, that it is up) is in them. */
static void take_down(const char *state_folder, const struct clone_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct error err = ERROR_INIT;
		struct clone_record now;
		char *file = mem_printf("%s.json", records[i].name);
		if (clone_record_load(state_folder, file, &now, &err) == 0) {
			if (strcmp(now.id, records[i].id) == 0)
				(void)clone_remove(state_folder, &now, &err); /* else it stays, for cleanup */
			clone_record_release(&now);
		}
		free(file);
	}
}

__attribute__((noreturn)) static void guard(int fd, const char *state_folder, const struct clone_record *records,
					    size_t count)
{
	const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT};
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)setsid(); /* the terminal's signals are not for us */
	(void)prctl(PR_SET_NAME, "rehearse-guard");
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3 && null_fd >= 0; i++)
		(void)dup2(null_fd, i);
	if (fd != 3)
		fd = dup2(fd, 3);
	(void)close_range(4, ~0U, 0); /* whoever reads our output must not wait for us */
	int stayed = chdir("/");      /* else a file system stays busy; no more than that */
	(void)stayed;
	char word = '\0';
	ssize_t got;
	do {
		got = read(fd, &word, 1);
	} while (got < 0 && errno == EINTR);
	if (got != 1 || word != 'q')
		take_down(state_folder, records, count);
	_exit(0);
}

int clone_guardian_start(struct clone_guardian *guardian, const char *state_folder, const struct clone_record *records,
			 size_t count, struct error *err)
{
	int ends[2];
	guardian->pid = 0;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_set_errno(err, ERR_INTERNAL, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(ends[1]);
		guard(ends[0], state_folder, records, count);
	}
	(void)close(ends[0]);
	if (pid < 0) {
		(void)close(ends[1]);
		return error_set_errno(err, ERR_INTERNAL, "cannot start the clones' guardian");
	}
	guardian->pid = pid;
	guardian->fd = ends[1];
	return 0;
}

void clone_guardian_dismiss(struct clone_guardian *guardian)
{
	if (guardian->pid <= 0)
		return;
	ssize_t ignored = write(guardian->fd, "q", 1);
	(void)ignored;
	(void)close(guardian->fd);
	while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
		;
	guardian->pid = 0;
}
