/*
 * rehearse cleanup: what crashes left behind, and what has lived its time. It goes by the records on disk alone, so it
 * works after a power loss too.
 */
#include "clock.h"
#include "clone_args.h"
#include "commands.h"
#include "output.h"
#include "snapshot_removal.h"

static struct {
	const char *state_dir;
	struct option_list names;
	bool all;
	bool dry_run;
} args;

static const struct option options[] = {
	OPT_FLAG(0, "dry-run", &args.dry_run, "say what would be removed, and remove nothing"),
	OPT_FLAG(0, "all", &args.all, "remove every clone, also snapshots and those that a run uses just now"),
	OPT_LIST(0, "name", &args.names, "NAME", "remove this one in any case; may be given more than once"),
	STATE_DIR_ROW(args),
	OPT_END,
};

static const char *why_over(const struct clone_entry *entry)
{
	return entry->life == CLONE_EXPIRED ? "its time to live is over" : "its owner is gone";
}

static const char *why_kept(const struct clone_entry *entry)
{
	if (entry->life == CLONE_IN_USE)
		return "in use by a process that lives";
	return entry->life == CLONE_SNAPSHOT ? "a snapshot whose time to live is not over" : "made on another machine";
}

static bool is_named(const struct clone_entry *entry)
{
	for (size_t i = 0; i < args.names.count; i++) {
		if (clone_entry_is_named(entry, args.names.items[i]))
			return true;
	}
	return false;
}

static int check_names(const struct clone_list *list, struct error *err)
{
	for (size_t i = 0; i < args.names.count; i++) {
		bool found = false;
		for (size_t j = 0; j < list->count && !found; j++)
			found = clone_entry_is_named(&list->entries[j], args.names.items[i]);
		if (!found)
			return error_set(err, ERR_USAGE,
					 "no clone named '%.100s'; 'rehearse list-snapshots' shows what there is",
					 args.names.items[i]);
	}
	return 0;
}

static void clean_up(const struct clone_list *list, struct snapshot_removal *removal)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct clone_entry *entry = &list->entries[i];
		if (entry->life == CLONE_UNREADABLE) {
			struct error err = {.code = ERR_DATA};
			(void)snprintf(err.text, sizeof(err.text), "%s; look at what it is, and remove it by hand",
				       entry->why);
			snapshot_removal_fail(removal, entry, &err);
		} else if (clone_life_is_over(entry->life)) {
			snapshot_removal_take(removal, list, entry, why_over(entry));
		} else if (args.all || is_named(entry)) {
			snapshot_removal_take(removal, list, entry, "as asked for");
		} else {
			snapshot_removal_keep(removal, entry, why_kept(entry));
		}
	}
}

static int run(const struct command_call *call, struct error *err)
{
	(void)call;
	struct clone_list list;
	struct snapshot_removal removal;
	int rc = clone_list_load(&list, args.state_dir, clock_wall_ns(), err);
	if (rc)
		return rc;
	rc = check_names(&list, err);
	if (rc == 0) {
		snapshot_removal_init(&removal, args.dry_run);
		clean_up(&list, &removal);
		rc = snapshot_removal_finish(&removal, "rehearse.cleanup/1", err);
		snapshot_removal_release(&removal);
	}
	clone_list_release(&list);
	return rc;
}

const struct command cmd_cleanup = {
	.name = "cleanup",
	.summary = "removes what crashed runs left behind, and snapshots whose time is over",
	.arguments = "",
	.options = options,
	.run = run,
	.docs = "Every clone, and every temporary folder with recorded statements, has a record on disk from before it "
		"exists until "
		"after it is gone. cleanup removes those whose owner is gone (killed, crashed, or lost in a reboot) "
		"and "
		"those whose time to live is over, and never one that a living process uses, unless --all or --name "
		"says so.\n\n"
		"A record is believed only as far as what it names carries that record's own mark; anything else is "
		"left alone and reported.",
	.examples = "rehearse cleanup --dry-run\nrehearse cleanup",
};
