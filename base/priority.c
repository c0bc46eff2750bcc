/* Being on time on a busy machine: see priority.h. */
#include "priority.h"

#include <sched.h>
#include <sys/resource.h>

#define KEEN_NICE (-10)

void priority_make_keen(pid_t id)
{
	(void)setpriority(PRIO_PROCESS, (id_t)id, KEEN_NICE);
}

void priority_make_urgent(pid_t id)
{
	struct sched_param lowest = {.sched_priority = 1};
	if (sched_setscheduler(id, SCHED_RR, &lowest) != 0)
		priority_make_keen(id);
}

bool priority_is_local(pid_t pid, const char *program)
{
	char path[64];
	char name[64] = "";
	if (pid <= 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return false;
	bool same = fgets(name, sizeof(name), file) && strncmp(name, program, strlen(program)) == 0 &&
		    name[strlen(program)] == '\n';
	(void)fclose(file);
	return same;
}
