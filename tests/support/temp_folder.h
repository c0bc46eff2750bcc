/* A temporary folder for one test, removed with all that is in it. */
#ifndef TEMP_FOLDER_H
#define TEMP_FOLDER_H

struct temp_folder {
	char path[256];
};

/* Aborts when there is none to be had. */
void temp_folder_init(struct temp_folder *folder);
void temp_folder_release(struct temp_folder *folder);
/* folder/name in one of four buffers that are used in turn. */
const char *temp_folder_file(const struct temp_folder *folder, const char *name);

#endif
