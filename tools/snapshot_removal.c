/* Removing clones by their records: see snapshot_removal.h. */
#include "snapshot_removal.h"

#include "clone_remove.h"
#include "output.h"

#include <string.h>

void snapshot_removal_init(struct snapshot_removal *removal, bool dry_run)
{
	memset(removal, 0, sizeof(*removal));
	removal->dry_run = dry_run;
	removal->removed = json_array();
	removal->kept = json_array();
	removal->failed = json_array();
}

void snapshot_removal_release(struct snapshot_removal *removal)
{
	json_decref(removal->removed);
	json_decref(removal->kept);
	json_decref(removal->failed);
}

static const char *name_of(const struct clone_entry *entry)
{
	return entry->life == CLONE_UNREADABLE ? entry->file : entry->record.name;
}

static void note(json_t *list, const struct clone_entry *entry, const char *why)
{
	(void)json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", name_of(entry), "life",
						    clone_life_name(entry->life), "reason", why));
}

void snapshot_removal_take(struct snapshot_removal *removal, const struct clone_list *list,
			   const struct clone_entry *entry, const char *why)
{
	struct error err = ERROR_INIT;
	if (!removal->dry_run && clone_remove(list->state_folder, &entry->record, &err) < 0) {
		snapshot_removal_fail(removal, entry, &err);
		return;
	}
	output_text("%s %s: %s\n", removal->dry_run ? "would remove" : "removed", entry->record.name, why);
	note(removal->removed, entry, why);
}

void snapshot_removal_keep(struct snapshot_removal *removal, const struct clone_entry *entry, const char *why)
{
	output_text("kept %s: %s\n", name_of(entry), why);
	note(removal->kept, entry, why);
}

void snapshot_removal_fail(struct snapshot_removal *removal, const struct clone_entry *entry, const struct error *err)
{
	output_warning("%s: %s", name_of(entry), err->text);
	note(removal->failed, entry, err->text);
	if (!removal->first.code)
		removal->first = *err;
}

int snapshot_removal_finish(const struct snapshot_removal *removal, const char *schema, struct error *err)
{
	size_t failed = json_array_size(removal->failed);
	json_t *object = json_pack("{s:s, s:b, s:O, s:O, s:O}", "schema", schema, "dry_run", removal->dry_run,
				   "removed", removal->removed, "kept", removal->kept, "failed", removal->failed);
	output_text("%zu %s, %zu kept, %zu failed\n", json_array_size(removal->removed),
		    removal->dry_run ? "to remove" : "removed", json_array_size(removal->kept), failed);
	output_json(object);
	json_decref(object);
	if (failed == 0)
		return 0;
	return error_set(err, removal->first.code ? (enum error_code)removal->first.code : ERR_INTERNAL,
			 "%zu of the clones could not be removed", failed);
}
