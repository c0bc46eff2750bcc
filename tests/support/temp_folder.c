/* A temporary folder for one test: see temp_folder.h. */
#include "temp_folder.h"

#include <ftw.h>
#include <unistd.h>

void temp_folder_init(struct temp_folder *folder)
{
	const char *base = getenv("TMPDIR");
	(void)snprintf(folder->path, sizeof(folder->path), "%s/rehearse-test.XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(folder->path))
		abort();
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void temp_folder_release(struct temp_folder *folder)
{
	(void)nftw(folder->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *temp_folder_file(const struct temp_folder *folder, const char *name)
{
	static char paths[4][512];
	static unsigned next;
	char *path = paths[next++ % 4];
	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder->path, name);
	return path;
}
