/* The files in a run directory: see run_dir.h. */
#include "run_dir.h"

#include "check_results.h"
#include "health_log.h"
#include "item_index.h"
#include "ledger.h"
#include "lock_log.h"
#include "mem.h"
#include "noise_floor.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const run_files[] = {
	RUN_FILE_RUN,
	RUN_FILE_BASELINE,
	RUN_FILE_MIGRATING,
	RUN_FILE_VERDICT,
	RUN_FILE_HTML,
	RUN_FILE_MARKDOWN,
	RUN_FILE_JUNIT,
	RUN_FILE_SLACK,
	ITEM_INDEX_FILE,
	LOCK_LOG_BASELINE,
	LOCK_LOG_MIGRATING,
	LEDGER_FILE,
	CHECKS_FILE,
	LOCK_LOG_SERVER_BASELINE,
	LOCK_LOG_SERVER_MIGRATING,
	NOISE_FLOOR_FILE,
	HEALTH_LOG_BASELINE,
	HEALTH_LOG_MIGRATING,
};
#define RUN_FILE_COUNT (sizeof(run_files) / sizeof(run_files[0]))

char *run_dir_path(const char *dir, const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

/* One of the files above, or what a killed run left of one: NAME.XXXXXX.tmp (out_file.h). */
static bool is_run_file(const char *name)
{
	static const char temporary[] = ".XXXXXX.tmp";
	size_t len = strlen(name);
	for (size_t i = 0; i < RUN_FILE_COUNT; i++) {
		size_t base = strlen(run_files[i]);
		if (strncmp(name, run_files[i], base) != 0)
			continue;
		if (len == base)
			return true;
		if (len == base + sizeof(temporary) - 1 && name[base] == '.' && strcmp(name + len - 4, ".tmp") == 0)
			return true;
	}
	return false;
}

static int make_folders(const char *path, struct error *err)
{
	char *copy = mem_strdup(path);
	int rc = 0;
	for (char *p = copy + 1; rc == 0; p++) {
		if (*p && *p != '/')
			continue;
		char saved = *p;
		*p = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			rc = error_set_errno(err, ERR_USAGE, "%s: cannot make the folder", copy);
		*p = saved;
		if (!saved)
			break;
	}
	free(copy);
	return rc;
}

/* Looks at everything in the folder before anything is removed: a folder that is not a run stays as it is. */
static int check_contents(const char *path, DIR *folder, int replace, struct error *err)
{
	for (const struct dirent *entry; (entry = readdir(folder));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (!is_run_file(entry->d_name))
			return error_set(err, ERR_USAGE, "%s: is not empty, and '%.200s' in it is not part of a run",
					 path, entry->d_name);
		if (!replace)
			return error_set(err, ERR_USAGE,
					 "%s: holds a run already; name another folder, or use --replace", path);
	}
	return 0;
}

static int remove_contents(const char *path, DIR *folder, struct error *err)
{
	rewinddir(folder);
	for (const struct dirent *entry; (entry = readdir(folder));) {
		if (is_run_file(entry->d_name) && unlinkat(dirfd(folder), entry->d_name, 0) < 0 && errno != ENOENT)
			return error_set_errno(err, ERR_USAGE, "%s/%s: cannot remove", path, entry->d_name);
	}
	return 0;
}

int run_dir_create(const char *path, int replace, struct error *err)
{
	if (!*path)
		return error_set(err, ERR_USAGE, "the run folder's name is empty");
	int rc = make_folders(path, err);
	if (rc < 0)
		return rc;
	DIR *folder = opendir(path);
	if (!folder)
		return error_set_errno(err, ERR_USAGE, "%s: cannot open the folder", path);
	rc = check_contents(path, folder, replace, err);
	if (rc == 0)
		rc = remove_contents(path, folder, err);
	(void)closedir(folder);
	return rc;
}

int run_dir_check(const char *path, int replace, struct error *err)
{
	DIR *folder = opendir(path);
	if (!folder && errno == ENOENT)
		return 0; /* it will be made */
	if (!folder)
		return error_set_errno(err, ERR_USAGE, "%s: cannot open the folder", path);
	int rc = check_contents(path, folder, replace, err);
	(void)closedir(folder);
	return rc;
}

void run_dir_discard(const char *path)
{
	struct error ignored = ERROR_INIT;
	DIR *folder = opendir(path);
	if (!folder)
		return;
	(void)remove_contents(path, folder, &ignored);
	(void)closedir(folder);
	(void)rmdir(path);
}
