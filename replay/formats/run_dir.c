/* The files in a run directory: see run_dir.h. */
#include "run_dir.h"

#include "item_index.h"
#include "ledger.h"
#include "lock_log.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const run_files[] = {
	RUN_FILE_RUN,	 RUN_FILE_BASELINE, RUN_FILE_MIGRATING, RUN_FILE_VERDICT, RUN_FILE_HTML,
	ITEM_INDEX_FILE, LOCK_LOG_BASELINE, LOCK_LOG_MIGRATING, LEDGER_FILE,
};
#define RUN_FILE_COUNT (sizeof(run_files) / sizeof(run_files[0]))

char *run_dir_path(const char *dir, const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

static bool is_run_file(const char *name)
{
	for (size_t i = 0; i < RUN_FILE_COUNT; i++) {
		if (strcmp(name, run_files[i]) == 0)
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

static int check_contents(const char *path, int replace, struct error *err)
{
	DIR *folder = opendir(path);
	if (!folder)
		return error_set_errno(err, ERR_USAGE, "%s: cannot open the folder", path);
	int rc = 0;
	for (const struct dirent *entry; rc == 0 && (entry = readdir(folder));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (!is_run_file(entry->d_name))
			rc = error_set(err, ERR_USAGE, "%s: is not empty, and '%.200s' in it is not part of a run",
				       path, entry->d_name);
		else if (!replace)
			rc = error_set(err, ERR_USAGE, "%s: holds a run already; name another folder, or use --replace",
				       path);
	}
	(void)closedir(folder);
	return rc;
}

int run_dir_create(const char *path, int replace, struct error *err)
{
	if (!*path)
		return error_set(err, ERR_USAGE, "the run folder's name is empty");
	int rc = make_folders(path, err);
	if (rc == 0)
		rc = check_contents(path, replace, err);
	for (size_t i = 0; rc == 0 && i < RUN_FILE_COUNT; i++) {
		char *file = run_dir_path(path, run_files[i]);
		if (unlink(file) < 0 && errno != ENOENT)
			rc = error_set_errno(err, ERR_USAGE, "%s: cannot remove", file);
		free(file);
	}
	return rc;
}
