/*
 * Where records are kept. A record tells a later `cleanup`, perhaps root's, what to remove, so nobody else may be able
 * to write there: the folder belongs to us and is closed to others. One that is not is refused, not used and not
 * mended.
 */
#include "clone_record.h"

#include "mem.h"

#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_folders(const char *path)
{
	char *part = mem_strdup(path);
	int rc = 0;
	for (char *slash = strchr(part + 1, '/'); rc == 0; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(part, 0700) != 0 && errno != EEXIST)
			rc = -1;
		if (!slash)
			break;
		*slash = '/';
	}
	free(part);
	return rc;
}

/* $HOME, but not another user's (sudo may leave it so): what root makes there that user could not use any more. */
static char *own_home(void)
{
	const char *home = getenv("HOME");
	const struct passwd *self = getpwuid(geteuid());
	struct stat info;
	if (home && home[0] == '/' && stat(home, &info) == 0 && info.st_uid == geteuid())
		return mem_strdup(home);
	if (self && stat(self->pw_dir, &info) == 0 && info.st_uid == geteuid())
		return mem_strdup(self->pw_dir);
	return NULL;
}

/* NULL when there is no home to write to. */
static char *standard_folder(void)
{
	const char *state = getenv("XDG_STATE_HOME");
	if (state && state[0] == '/')
		return mem_printf("%s/rehearse/clones", state);
	char *home = own_home();
	char *folder = home ? mem_printf("%s/.local/state/rehearse/clones", home) : NULL;
	free(home);
	return folder;
}

static int check_folder(const char *path, struct error *err)
{
	struct stat info;
	if (lstat(path, &info) != 0)
		return error_set_errno(err, ERR_USAGE, "%s: no such folder", path);
	if (S_ISDIR(info.st_mode) && info.st_uid == geteuid() && !(info.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	return error_set(err, ERR_USAGE,
			 "%s: not a folder that is ours alone; records of clones cannot be trusted to it (choose "
			 "another with --state-dir)",
			 path);
}

int clone_state_folder(const char *given, char **out, struct error *err)
{
	const char *named = given && *given ? given : getenv("REHEARSE_STATE_DIR");
	char *folder = NULL;
	if (named && *named) {
		folder = mem_printf("%s/clones", named);
		if (make_folders(folder) != 0) {
			int rc = error_set_errno(err, ERR_USAGE, "%s: cannot make the folder for the clones' records",
						 folder);
			free(folder);
			return rc;
		}
	} else {
		folder = standard_folder();
		if (!folder || make_folders(folder) != 0) {
			free(folder);
			folder = mem_printf("/var/tmp/rehearse-%u/clones", (unsigned)geteuid());
			(void)make_folders(folder);
			char *parent = mem_printf("/var/tmp/rehearse-%u", (unsigned)geteuid());
			int rc = check_folder(parent, err); /* anybody can make that name */
			free(parent);
			if (rc) {
				free(folder);
				return rc;
			}
		}
	}
	int rc = check_folder(folder, err);
	char *real = rc == 0 ? realpath(folder, NULL) : NULL;
	free(folder);
	if (rc == 0 && !real)
		rc = error_set_errno(err, ERR_USAGE, "the folder for the clones' records");
	*out = real;
	return rc;
}
