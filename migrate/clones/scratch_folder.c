/* A folder for files that must not outlive us: see scratch_folder.h. */
#include "scratch_folder.h"

#include "clock.h"
#include "clone_remove.h"
#include "logging.h"
#include "mem.h"

#include <unistd.h>

#define TTL_NS (INT64_C(24) * 3600 * NS_PER_S)

static void fill_record(struct clone_record *record, const char *name, const char *base)
{
	record->id = clone_record_new_id();
	record->set = mem_strdup(name);
	record->lane = mem_strndup(record->id, 12);
	record->name = mem_printf("%s-%s", record->set, record->lane);
	record->provider = mem_strdup("scratch");
	clone_owner_init_self(&record->owner);
	record->uid = record->run_uid = geteuid();
	record->folder = mem_printf("%s/rehearse-%s", strcmp(base, "/") == 0 ? "" : base, record->name);
	record->created_wall_ns = clock_wall_ns();
	record->time_to_live_ns = TTL_NS;
	record->size_bytes = -1;
}

int scratch_folder_init(struct scratch_folder *folder, const char *name, struct error *err)
{
	const char *given = getenv("TMPDIR");
	memset(folder, 0, sizeof(*folder));
	char *base = realpath(given && *given ? given : "/var/tmp", NULL);
	if (!base)
		return error_set_errno(err, ERR_USAGE, "%s: no such folder for temporary files", given);
	int rc = clone_state_folder(NULL, &folder->state_folder, err);
	if (rc == 0) {
		fill_record(&folder->record, name, base);
		rc = clone_record_create(folder->state_folder, &folder->record, err);
	}
	free(base);
	if (rc) {
		free(folder->state_folder);
		clone_record_release(&folder->record);
		folder->state_folder = NULL;
		return rc;
	}
	folder->path = mem_strdup(folder->record.folder);
	rc = clone_guardian_start(&folder->guardian, folder->state_folder, &folder->record, 1, err);
	if (rc == 0)
		rc = clone_folder_create(&folder->record, err);
	if (rc < 0)
		scratch_folder_release(folder);
	return rc;
}

void scratch_folder_release(struct scratch_folder *folder)
{
	struct error err = ERROR_INIT;
	if (!folder->path)
		return;
	if (clone_remove(folder->state_folder, &folder->record, &err) < 0)
		log_warn("%s", err.text);
	clone_guardian_dismiss(&folder->guardian);
	clone_record_release(&folder->record);
	free(folder->state_folder);
	free(folder->path);
	memset(folder, 0, sizeof(*folder));
}
