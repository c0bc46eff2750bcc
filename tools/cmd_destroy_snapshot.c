/* rehearse destroy-snapshot: clones by name, whole sets or single ones. */
#include "clock.h"
#include "clone_args.h"
#include "commands.h"
#include "output.h"
#include "snapshot_removal.h"

#include <stdint.h>

static struct {
	const char *state_dir;
	bool force;
} args;

static const struct option options[] = {
	OPT_FLAG('f', "force", &args.force, "also those that a run uses just now"),
	STATE_DIR_ROW(args),
	OPT_END,
};

/* Before anything is removed: every name is one, and nobody's run loses its clones. */
static int check_name(const struct clone_list *list, const char *name, struct error *err)
{
	size_t found = 0;
	for (size_t i = 0; i < list->count; i++) {
		const struct clone_entry *entry = &list->entries[i];
		if (!clone_entry_is_named(entry, name))
			continue;
		found++;
		if (entry->life == CLONE_IN_USE && !args.force)
			return error_set(err, ERR_USAGE,
					 "%s is in use by process %ld of %s; --force removes it all the same",
					 entry->record.name, (long)entry->record.owner.pid, entry->record.owner.user);
		if (entry->life == CLONE_ELSEWHERE && !args.force)
			return error_set(err, ERR_USAGE, "%s was made on %s; remove it there", entry->record.name,
					 entry->record.owner.host);
	}
	if (found == 0)
		return error_set(err, ERR_USAGE,
				 "no snapshot named '%.100s'; 'rehearse list-snapshots' shows what there is", name);
	return 0;
}

static int run(const struct command_call *call, struct error *err)
{
	struct clone_list list;
	struct snapshot_removal removal;
	int rc = clone_list_load(&list, args.state_dir, clock_wall_ns(), err);
	if (rc)
		return rc;
	for (size_t i = 0; i < call->argument_count && rc == 0; i++)
		rc = check_name(&list, call->arguments[i], err);
	if (rc == 0) {
		snapshot_removal_init(&removal, false);
		for (size_t i = 0; i < list.count; i++) {
			bool named = false;
			for (size_t j = 0; j < call->argument_count; j++)
				named = named || clone_entry_is_named(&list.entries[i], call->arguments[j]);
			if (named)
				snapshot_removal_take(&removal, &list, &list.entries[i], "as asked for");
		}
		rc = snapshot_removal_finish(&removal, "rehearse.destroy-snapshot/1", err);
		snapshot_removal_release(&removal);
	}
	clone_list_release(&list);
	return rc;
}

const struct command cmd_destroy_snapshot = {
	.name = "destroy-snapshot",
	.summary = "removes snapshots by name",
	.arguments = "NAME…",
	.arguments_min = 1,
	.arguments_max = SIZE_MAX,
	.options = options,
	.run = run,
	.docs = "Stops the servers of these clones and removes all there is of them. NAME is that of a snapshot, with "
		"all its lanes, "
		"or that of one clone, as list-snapshots shows it.",
	.examples = "rehearse destroy-snapshot friday",
};
