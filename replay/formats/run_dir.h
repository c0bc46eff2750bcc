/* The names of the files in a run directory (docs/formats.md), and paths to them. */
#ifndef RUN_DIR_H
#define RUN_DIR_H

#include "error.h"

#define RUN_FILE_RUN	   "run.json"
#define RUN_FILE_BASELINE  "baseline.log"
#define RUN_FILE_MIGRATING "migrating.log"
#define RUN_FILE_VERDICT   "verdict.json"
#define RUN_FILE_HTML	   "report.html"
#define RUN_FILE_MARKDOWN  "report.md"
#define RUN_FILE_JUNIT	   "junit.xml"
#define RUN_FILE_SLACK	   "slack.json"

/*
 * Makes the folder (and those above it), mode 0700. ERR_USAGE when it exists and holds anything, unless replace is set
 * and all it holds is a run: then that run's files are removed.
 */
int run_dir_create(const char *path, int replace, struct error *err);
/* The same errors as run_dir_create() for a folder that is there, and nothing made or removed. */
int run_dir_check(const char *path, int replace, struct error *err);
/* Removes a run that came to nothing, and the folder when nothing else is in it. */
void run_dir_discard(const char *path);
/* dir/name, to be freed with free(). */
char *run_dir_path(const char *dir, const char *name);

#endif
