/* A clone's processes, found by the folder they work in: see clone_processes.h. */
#include "clone_processes.h"

#include "clock.h"
#include "mem.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#define PATIENCE_NS	(5 * NS_PER_S)
#define ENVIRONMENT_MAX ((size_t)256 * 1024)

/* Which processes: one of the two is set. */
struct search {
	const char *folder; /* PostgreSQL's programs that work there or below */
	const char *id;	    /* whatever carries it in its environment, */
	const char *lane;   /* and this */
};

static bool is_inside(const char *path, const char *folder)
{
	size_t len = strlen(folder);
	return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static ssize_t read_proc(const char *pid, const char *name, char *out, size_t size)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t used = 0;
	ssize_t got;
	while (used < size - 1 && (got = read(fd, out + used, size - 1 - used)) > 0)
		used += (size_t)got;
	out[used] = '\0';
	(void)close(fd);
	return (ssize_t)used;
}

/* Only programs that we started there: somebody's shell that stands in the folder is not ours to end. */
static bool is_server_program(const char *pid)
{
	char name[32];
	if (read_proc(pid, "comm", name, sizeof(name)) <= 0)
		return false;
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, "postgres") == 0 || strcmp(name, "pg_basebackup") == 0 || strcmp(name, "tar") == 0;
}

static bool has_variable(const char *environment, size_t len, const char *name, const char *value)
{
	char *wanted = mem_printf("%s=%s", name, value);
	bool found = false;
	for (size_t at = 0; at < len && !found; at += strlen(environment + at) + 1)
		found = strcmp(environment + at, wanted) == 0;
	free(wanted);
	return found;
}

static bool carries_id(const char *pid, const struct search *search)
{
	char *text = mem_alloc(ENVIRONMENT_MAX);
	ssize_t len = read_proc(pid, "environ", text, ENVIRONMENT_MAX);
	bool found = len > 0 && has_variable(text, (size_t)len, CLONE_ID_VARIABLE, search->id) &&
		     has_variable(text, (size_t)len, CLONE_LANE_VARIABLE, search->lane);
	free(text);
	return found;
}

static bool is_meant(const struct search *search, const char *pid)
{
	if (strtol(pid, NULL, 10) == (long)getpid())
		return false;
	if (search->id)
		return carries_id(pid, search);
	char link[64], cwd[PATH_MAX];
	(void)snprintf(link, sizeof(link), "/proc/%.20s/cwd", pid);
	ssize_t len = readlink(link, cwd, sizeof(cwd) - 1);
	if (len <= 0)
		return false;
	cwd[len] = '\0';
	return is_inside(cwd, search->folder) && is_server_program(pid);
}

/* Sends the signal (0: none) to all that are meant, and counts them. */
static size_t signal_processes(const struct search *search, int number)
{
	size_t found = 0;
	DIR *dir = opendir("/proc");
	for (const struct dirent *entry; dir && (entry = readdir(dir));) {
		if (!isdigit((unsigned char)entry->d_name[0]) || !is_meant(search, entry->d_name))
			continue;
		found++;
		if (number)
			(void)kill((pid_t)strtol(entry->d_name, NULL, 10), number);
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

static bool stop(const struct search *search, int polite)
{
	int64_t start_ns = clock_mono_ns();
	size_t left = signal_processes(search, polite);
	while (left > 0) {
		clock_sleep_until_ns(clock_mono_ns() + 20 * NS_PER_MS);
		bool patient = clock_mono_ns() - start_ns < PATIENCE_NS;
		left = signal_processes(search, patient ? 0 : SIGKILL);
		if (clock_mono_ns() - start_ns > 2 * PATIENCE_NS)
			return left == 0;
	}
	return true;
}

bool clone_stop_processes(const char *folder)
{
	struct search search = {.folder = folder};
	return stop(&search, SIGQUIT);
}

bool clone_stop_scripts(const char *id, const char *lane)
{
	struct search search = {.id = id, .lane = lane};
	return stop(&search, SIGTERM);
}

size_t clone_count_processes(const char *folder)
{
	struct search search = {.folder = folder};
	return signal_processes(&search, 0);
}
