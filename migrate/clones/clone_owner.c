/* Who made a clone, and whether that process still lives: see clone_owner.h. */
#include "clone_owner.h"

#include "mem.h"

#include <ctype.h>
#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

/* A small file of /proc as a string, cut at its size; "" when it cannot be read. */
static void read_small(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, out, size - 1) : -1;
	if (fd >= 0)
		(void)close(fd);
	out[got > 0 ? got : 0] = '\0';
}

/*
 * Field 22 of /proc/PID/stat (proc(5)): when it started, in ticks since boot. The second field is the program's name
 * in parentheses and may hold anything, so fields are counted from the last ')'. 0 when there is no such process, or
 * only what is left of one (a zombie) until its parent asks.
 */
static uint64_t start_of(pid_t pid)
{
	char path[64], text[1024];
	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	read_small(path, text, sizeof(text));
	char *at = strrchr(text, ')');
	if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
		return 0;
	at++;
	for (int field = 3; field < 22 && at; field++) {
		at = strchr(at + 1, ' ');
	}
	return at ? strtoull(at, NULL, 10) : 0;
}

static char *boot_id(void)
{
	char text[80];
	read_small(BOOT_ID_FILE, text, sizeof(text));
	text[strcspn(text, "\n")] = '\0';
	return mem_strdup(text);
}

static char *host_name(void)
{
	char host[256] = "";
	(void)gethostname(host, sizeof(host) - 1);
	return mem_strdup(host);
}

void clone_owner_init_self(struct clone_owner *owner)
{
	const struct passwd *self = getpwuid(geteuid());
	owner->user = self ? mem_strdup(self->pw_name) : mem_printf("%u", (unsigned)geteuid());
	owner->host = host_name();
	owner->boot_id = boot_id();
	owner->pid = getpid();
	owner->pid_started = start_of(owner->pid);
}

void clone_owner_release(struct clone_owner *owner)
{
	free(owner->user);
	free(owner->host);
	free(owner->boot_id);
	memset(owner, 0, sizeof(*owner));
}

enum clone_owner_state clone_owner_look(const struct clone_owner *owner)
{
	char *host = host_name(), *boot = boot_id();
	enum clone_owner_state state = CLONE_OWNER_ALIVE;
	if (strcmp(host, owner->host) != 0)
		state = CLONE_OWNER_ELSEWHERE;
	else if (strcmp(boot, owner->boot_id) != 0)
		state = CLONE_OWNER_GONE;
	else if (owner->pid <= 0 || start_of(owner->pid) == 0 || start_of(owner->pid) != owner->pid_started)
		state = CLONE_OWNER_GONE;
	free(host);
	free(boot);
	return state;
}
