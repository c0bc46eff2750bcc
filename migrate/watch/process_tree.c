/* A server's processes and the machine, from /proc: see process_tree.h. */
#include "process_tree.h"

#include "clock.h"
#include "num.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define FILE_MAX      65536 /* a thousand children's pids fit many times */
#define SAME_START_NS (3 * NS_PER_S)

/* The file as a string; -1 when it cannot be read. What is longer than the buffer is cut. */
static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t len = 0;
	ssize_t got;
	while (len < size - 1 && (got = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)got;
	(void)close(fd);
	buf[len] = '\0';
	return (ssize_t)len;
}

static ssize_t read_proc(const char *proc, pid_t pid, const char *name, char *buf, size_t size)
{
	char path[256];
	(void)snprintf(path, sizeof(path), "%s/%ld/%s", proc, (long)pid, name);
	return read_file(path, buf, size);
}

/* The number behind `p` and white space; *end is behind it. -1 when there is none. */
static int64_t scan(const char *p, const char **end)
{
	uint64_t number;
	size_t used = 0;
	while (*p == ' ' || *p == '\t')
		p++;
	bool negative = *p == '-';
	p += negative;
	bool ok = num_scan_digits(p, strlen(p), &number, &used) && number <= INT64_MAX;
	*end = p + used;
	return ok && !negative ? (int64_t)number : -1;
}

/* The number behind "key" at the beginning of a line; -1 when there is none. */
static int64_t value_of(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *end;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0)
			return scan(line + len, &end);
	}
	return -1;
}

static int64_t ticks_to_ns(int64_t ticks)
{
	long per_s = sysconf(_SC_CLK_TCK);
	return ticks > 0 && per_s > 0 ? ticks * (NS_PER_S / per_s) : 0;
}

/* Fields of /proc/PID/stat as the manual numbers them. */
enum stat_field {
	STAT_PPID = 4,
	STAT_UTIME = 14,
	STAT_STIME = 15,
	STAT_CUTIME = 16,
	STAT_CSTIME = 17,
	STAT_STARTTIME = 22,
	STAT_FIELDS = 23
};

static bool read_stat(const char *proc, pid_t pid, int64_t fields[STAT_FIELDS])
{
	char text[2048];
	if (read_proc(proc, pid, "stat", text, sizeof(text)) <= 0)
		return false;
	/* Field 2 is the program's name in parentheses, and may hold any character. */
	const char *p = strrchr(text, ')');
	if (!p || p[1] != ' ' || !p[2])
		return false;
	p += 3; /* field 3 is one letter */
	for (int i = STAT_PPID; i < STAT_FIELDS; i++)
		fields[i] = scan(p, &p);
	return fields[STAT_PPID] >= 0 && fields[STAT_STARTTIME] >= 0;
}

pid_t process_tree_postmaster(const char *proc, pid_t backend, int64_t backend_start_wall_ns)
{
	int64_t fields[STAT_FIELDS];
	struct timespec up;
	if (!read_stat(proc, backend, fields) || clock_gettime(CLOCK_BOOTTIME, &up) != 0)
		return 0;
	/* A server in a container, or behind a tunnel, may name a pid that is another process here. */
	int64_t age_ns = up.tv_sec * NS_PER_S + up.tv_nsec - ticks_to_ns(fields[STAT_STARTTIME]);
	int64_t off_ns = clock_wall_ns() - age_ns - backend_start_wall_ns;
	if (off_ns > SAME_START_NS || off_ns < -SAME_START_NS || fields[STAT_PPID] <= 1)
		return 0;
	return (pid_t)fields[STAT_PPID];
}

int64_t process_tree_cpu_ns(const char *proc, pid_t pid)
{
	char text[128];
	const char *end;
	if (read_proc(proc, pid, "schedstat", text, sizeof(text)) > 0)
		return scan(text, &end);
	return -1;
}

/* One process; its children that it has waited for are in its own figures (cutime, and the kernel adds their I/O). */
static bool add_process(const char *proc, pid_t pid, struct process_tree *out, int64_t *shared_bytes)
{
	int64_t fields[STAT_FIELDS];
	char text[1024];
	const char *end;
	if (!read_stat(proc, pid, fields))
		return false;
	out->processes++;
	out->cpu_ns += ticks_to_ns(fields[STAT_UTIME]) + ticks_to_ns(fields[STAT_STIME]) +
		       ticks_to_ns(fields[STAT_CUTIME]) + ticks_to_ns(fields[STAT_CSTIME]);
	if (read_proc(proc, pid, "statm", text, sizeof(text)) > 0) {
		int64_t page = sysconf(_SC_PAGESIZE);
		(void)scan(text, &end);
		int64_t resident = scan(end, &end);
		int64_t shared = scan(end, &end);
		if (resident >= 0 && shared >= 0) {
			out->memory_bytes += resident > shared ? (resident - shared) * page : 0;
			*shared_bytes = shared * page > *shared_bytes ? shared * page : *shared_bytes;
		}
	}
	if (!out->has_io)
		return true;
	if (read_proc(proc, pid, "io", text, sizeof(text)) > 0) {
		int64_t read_bytes = value_of(text, "read_bytes:");
		int64_t write_bytes = value_of(text, "write_bytes:");
		out->read_bytes += read_bytes > 0 ? read_bytes : 0;
		out->write_bytes += write_bytes > 0 ? write_bytes : 0;
	} else if (read_stat(proc, pid, fields)) {
		out->has_io = false; /* it is there, and we may not look */
	}
	return true;
}

static void add_child(const char *proc, pid_t child, struct process_tree *out, int64_t *shared_bytes)
{
	(void)add_process(proc, child, out, shared_bytes); /* gone meanwhile: it is in its parent's figures next time */
}

/* A kernel without CONFIG_PROC_CHILDREN: everybody is asked who their parent is. */
static void add_children_slowly(const char *proc, pid_t root, struct process_tree *out, int64_t *shared_bytes)
{
	DIR *folder = opendir(proc);
	int64_t fields[STAT_FIELDS];
	const char *end;
	if (!folder)
		return;
	for (const struct dirent *entry; (entry = readdir(folder));) {
		int64_t pid = isdigit((unsigned char)entry->d_name[0]) ? scan(entry->d_name, &end) : -1;
		if (pid > 0 && read_stat(proc, (pid_t)pid, fields) && fields[STAT_PPID] == root)
			add_child(proc, (pid_t)pid, out, shared_bytes);
	}
	(void)closedir(folder);
}

bool process_tree_read(const char *proc, pid_t root, struct process_tree *out)
{
	char text[FILE_MAX];
	char name[64];
	int64_t shared_bytes = 0;
	*out = (struct process_tree){.has_io = true};
	if (!add_process(proc, root, out, &shared_bytes))
		return false;
	(void)snprintf(name, sizeof(name), "task/%ld/children", (long)root);
	if (read_proc(proc, root, name, text, sizeof(text)) < 0) {
		add_children_slowly(proc, root, out, &shared_bytes);
	} else {
		const char *p = text;
		for (int64_t pid; (pid = scan(p, &p)) > 0;)
			add_child(proc, (pid_t)pid, out, &shared_bytes);
	}
	out->memory_bytes += shared_bytes;
	return true;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345" */
static int64_t read_pressure(const char *proc, const char *what)
{
	char path[256];
	char text[512];
	const char *end;
	(void)snprintf(path, sizeof(path), "%s/pressure/%s", proc, what);
	if (read_file(path, text, sizeof(text)) <= 0 || strncmp(text, "some ", 5) != 0)
		return -1;
	const char *total = strstr(text, "total=");
	return total ? scan(total + 6, &end) : -1;
}

void machine_load_read(const char *proc, struct machine_load *out)
{
	char path[256];
	char text[FILE_MAX];
	*out = (struct machine_load){-1, -1, -1, -1, -1, -1, -1, -1};
	(void)snprintf(path, sizeof(path), "%s/stat", proc);
	if (read_file(path, text, sizeof(text)) > 0 && strncmp(text, "cpu ", 4) == 0) {
		int64_t n[8]; /* user nice system idle iowait irq softirq steal */
		const char *p = text + 4;
		for (int i = 0; i < 8; i++)
			n[i] = scan(p, &p);
		out->busy_ns = ticks_to_ns(n[0]) + ticks_to_ns(n[1]) + ticks_to_ns(n[2]) + ticks_to_ns(n[5]) +
			       ticks_to_ns(n[6]);
		out->iowait_ns = ticks_to_ns(n[4]);
		out->steal_ns = ticks_to_ns(n[7]);
		out->cpus = 0;
		for (const char *line = text; (line = strstr(line, "\ncpu")); line += 4)
			out->cpus++;
	}
	(void)snprintf(path, sizeof(path), "%s/meminfo", proc);
	if (read_file(path, text, sizeof(text)) > 0) {
		int64_t kb = value_of(text, "MemAvailable:");
		out->memory_available_bytes = kb >= 0 ? kb * 1024 : -1;
	}
	out->cpu_stall_us = read_pressure(proc, "cpu");
	out->io_stall_us = read_pressure(proc, "io");
	out->memory_stall_us = read_pressure(proc, "memory");
}
