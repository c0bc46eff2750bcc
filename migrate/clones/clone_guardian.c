/* The process that cleans up after us: see clone_guardian.h. */
#include "clone_guardian.h"

#include "clock.h"
#include "folder_copy.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS  (5 * NS_PER_S)
#define REMOVE_TRIES 30

static bool is_inside(const char *path, const char *folder)
{
	size_t len = strlen(folder);
	return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* Only programs that we started there: somebody's shell that stands in the folder is not ours to end. */
static bool is_server_program(const char *pid)
{
	char path[64], name[32] = "";
	(void)snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, name, sizeof(name) - 1) : -1;
	if (fd >= 0)
		(void)close(fd);
	if (got <= 0)
		return false;
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, "postgres") == 0 || strcmp(name, "pg_basebackup") == 0;
}

static size_t signal_processes(const char *folder, int number)
{
	size_t found = 0;
	DIR *dir = opendir("/proc");
	for (const struct dirent *entry; dir && (entry = readdir(dir));) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		char link[64], cwd[PATH_MAX];
		(void)snprintf(link, sizeof(link), "/proc/%.20s/cwd", entry->d_name);
		ssize_t len = readlink(link, cwd, sizeof(cwd) - 1);
		if (len <= 0)
			continue;
		cwd[len] = '\0';
		if (!is_inside(cwd, folder) || !is_server_program(entry->d_name))
			continue;
		found++;
		if (number)
			(void)kill((pid_t)strtol(entry->d_name, NULL, 10), number);
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

void clone_stop_processes(const char *folder)
{
	char real[PATH_MAX];
	if (!realpath(folder, real))
		return;
	int64_t start_ns = clock_mono_ns();
	size_t left = signal_processes(real, SIGQUIT);
	while (left > 0) {
		clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
		bool patient = clock_mono_ns() - start_ns < PATIENCE_NS;
		left = signal_processes(real, patient ? 0 : SIGKILL);
		if (clock_mono_ns() - start_ns > 2 * PATIENCE_NS)
			return;
	}
}

static void take_down(char *const *folders, char *const *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct error err = ERROR_INIT;
		for (int try = 0; try < REMOVE_TRIES; try++) {
			clone_stop_processes(folders[i]);
			if (folder_remove(folders[i], &err) == 0 && access(folders[i], F_OK) != 0)
				break;
			clock_sleep_until_ns(clock_mono_ns() + 100 * NS_PER_MS);
		}
		if (access(folders[i], F_OK) != 0) /* else the record stays, for cleanup */
			(void)unlink(records[i]);
	}
}

__attribute__((noreturn)) static void guard(int fd, char *const *folders, char *const *records, size_t count)
{
	const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT};
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
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
		take_down(folders, records, count);
	_exit(0);
}

int clone_guardian_start(struct clone_guardian *guardian, char *const *folders, char *const *records, size_t count,
			 struct error *err)
{
	int ends[2];
	guardian->pid = 0;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_set_errno(err, ERR_INTERNAL, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(ends[1]);
		guard(ends[0], folders, records, count);
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
