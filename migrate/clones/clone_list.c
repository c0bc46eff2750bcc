/* All clones by their records: see clone_list.h. */
#include "clone_list.h"

#include "clone_processes.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define DRAFT_AGE_S 3600

static const char *const life_names[] = {"in use", "snapshot", "elsewhere", "unreadable", "expired", "orphan"};

const char *clone_life_name(enum clone_life life)
{
	return life_names[life];
}

bool clone_life_is_over(enum clone_life life)
{
	return life == CLONE_EXPIRED || life == CLONE_ORPHAN;
}

bool clone_entry_is_named(const struct clone_entry *entry, const char *name)
{
	return entry->life != CLONE_UNREADABLE &&
	       (strcmp(entry->record.name, name) == 0 || strcmp(entry->record.set, name) == 0);
}

static bool has_suffix(const char *text, const char *suffix)
{
	size_t len = strlen(text), tail = strlen(suffix);
	return len > tail && strcmp(text + len - tail, suffix) == 0;
}

/* ".NAME.PID.draft" of a process that is gone (clone_record.c), or so old that it must be. */
static void drop_draft(int dir, const char *file, int64_t now_s)
{
	struct stat info;
	char *text = mem_strndup(file, strlen(file) - 6);
	const char *dot = strrchr(text, '.');
	long pid = dot ? strtol(dot + 1, NULL, 10) : 0;
	bool gone = pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
	if (fstatat(dir, file, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
	    (gone || now_s - (int64_t)info.st_mtime > DRAFT_AGE_S))
		(void)unlinkat(dir, file, 0);
	free(text);
}

static enum clone_life life_of(const struct clone_record *record, int64_t now_wall_ns)
{
	enum clone_owner_state owner = clone_owner_look(&record->owner);
	bool expired = now_wall_ns >= clone_record_expiry_wall_ns(record);
	struct stat info;
	/* A state folder shared by machines: what is in another one's folders cannot be seen from here. */
	if (owner == CLONE_OWNER_ELSEWHERE && record->folder && lstat(record->folder, &info) != 0)
		return CLONE_ELSEWHERE;
	if (expired)
		return CLONE_EXPIRED;
	if (record->state == CLONE_KEPT)
		return CLONE_SNAPSHOT;
	if (owner == CLONE_OWNER_ELSEWHERE)
		return CLONE_ELSEWHERE;
	return owner == CLONE_OWNER_ALIVE ? CLONE_IN_USE : CLONE_ORPHAN;
}

static void add_entry(struct clone_list *list, size_t *capacity, const char *file, int64_t now_wall_ns)
{
	struct error err = ERROR_INIT;
	struct clone_entry entry = {.file = mem_strdup(file)};
	if (clone_record_load(list->state_folder, file, &entry.record, &err) == 0) {
		entry.life = life_of(&entry.record, now_wall_ns);
		entry.running = entry.record.folder && clone_count_processes(entry.record.folder) > 0;
	} else {
		char *path = mem_printf("%s/%s", list->state_folder, file);
		bool there = access(path, F_OK) == 0; /* else it went between two looks */
		free(path);
		if (!there) {
			free(entry.file);
			return;
		}
		entry.life = CLONE_UNREADABLE;
		entry.why = mem_strdup(err.text);
	}
	MEM_GROW(list->entries, list->count, *capacity);
	list->entries[list->count++] = entry;
}

/* A set of which one clone is an orphan was never finished, or is half gone: all of it is. */
static void judge_sets(struct clone_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->entries[i].life != CLONE_ORPHAN)
			continue;
		for (size_t j = 0; j < list->count; j++) {
			struct clone_entry *other = &list->entries[j];
			if (other->life == CLONE_SNAPSHOT && strcmp(other->record.id, list->entries[i].record.id) == 0)
				other->life = CLONE_ORPHAN;
		}
	}
}

static int by_file(const void *a, const void *b)
{
	return strcmp(((const struct clone_entry *)a)->file, ((const struct clone_entry *)b)->file);
}

int clone_list_load(struct clone_list *list, const char *state_dir, int64_t now_wall_ns, struct error *err)
{
	size_t capacity = 0;
	memset(list, 0, sizeof(*list));
	int rc = clone_state_folder(state_dir, &list->state_folder, err);
	if (rc)
		return rc;
	DIR *dir = opendir(list->state_folder);
	if (!dir) {
		rc = error_set_errno(err, ERR_USAGE, "%s: cannot read", list->state_folder);
		clone_list_release(list);
		return rc;
	}
	for (const struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.' && has_suffix(entry->d_name, ".draft"))
			drop_draft(dirfd(dir), entry->d_name, now_wall_ns / 1000000000);
		else if (entry->d_name[0] != '.' && has_suffix(entry->d_name, ".json"))
			add_entry(list, &capacity, entry->d_name, now_wall_ns);
	}
	(void)closedir(dir);
	if (list->count)
		qsort(list->entries, list->count, sizeof(*list->entries), by_file);
	judge_sets(list);
	return 0;
}

void clone_list_release(struct clone_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->entries[i].file);
		free(list->entries[i].why);
		clone_record_release(&list->entries[i].record);
	}
	free(list->entries);
	free(list->state_folder);
	memset(list, 0, sizeof(*list));
}
