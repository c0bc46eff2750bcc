/* A folder for files that must not outlive us: see scratch_folder.h. */
#include "scratch_folder.h"

#include "mem.h"

#include <dirent.h>
#include <unistd.h>

int scratch_folder_init(struct scratch_folder *folder, const char *name, struct error *err)
{
	const char *base = getenv("TMPDIR");
	memset(folder, 0, sizeof(*folder));
	folder->path = mem_printf("%s/rehearse-%s.XXXXXX", base && *base ? base : "/var/tmp", name);
	if (!mkdtemp(folder->path)) {
		int rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot make a temporary folder", folder->path);
		free(folder->path);
		folder->path = NULL;
		return rc;
	}
	folder->record = mem_printf("%s.json", folder->path);
	int rc = clone_guardian_start(&folder->guardian, &folder->path, &folder->record, 1, err);
	if (rc < 0)
		scratch_folder_release(folder);
	return rc;
}

void scratch_folder_release(struct scratch_folder *folder)
{
	if (!folder->path)
		return;
	DIR *files = opendir(folder->path);
	for (const struct dirent *entry; files && (entry = readdir(files));)
		(void)unlinkat(dirfd(files), entry->d_name, 0);
	if (files)
		(void)closedir(files);
	(void)rmdir(folder->path);
	clone_guardian_dismiss(&folder->guardian);
	free(folder->path);
	free(folder->record);
	memset(folder, 0, sizeof(*folder));
}
