/* rehearse list-snapshots: every clone that there is a record of, snapshots and those of runs alike. */
#include "clock.h"
#include "clone_args.h"
#include "commands.h"
#include "output.h"
#include "snapshot_view.h"

static struct {
	const char *state_dir;
} args;

static const struct option options[] = {
	STATE_DIR_ROW(args),
	OPT_END,
};

static void print(const struct clone_list *list, int64_t now_ns)
{
	if (list->count == 0) {
		output_text("no clones; their records are in %s\n", list->state_folder);
		return;
	}
	output_text("%-28s %-10s %-9s %9s %14s %14s  %s\n", "name", "lane", "state", "size", "age", "expires in",
		    "url");
	for (size_t i = 0; i < list->count; i++) {
		const struct clone_entry *entry = &list->entries[i];
		const struct clone_record *r = &entry->record;
		char size[SNAPSHOT_WORDS_MAX], age[SNAPSHOT_WORDS_MAX], left[SNAPSHOT_WORDS_MAX];
		if (entry->life == CLONE_UNREADABLE) {
			output_text("%-28s %-10s %-9s %s\n", entry->file, "-", "unreadable", entry->why);
			continue;
		}
		output_text("%-28s %-10s %-9s %9s %14s %14s  %s\n", r->name, r->lane, snapshot_state(entry),
			    snapshot_size(r->size_bytes, size), snapshot_span(now_ns - r->created_wall_ns, age),
			    snapshot_span(clone_record_expiry_wall_ns(r) - now_ns, left), r->url ? r->url : "-");
	}
}

static int run(const struct command_call *call, struct error *err)
{
	(void)call;
	struct clone_list list;
	int64_t now_ns = clock_wall_ns();
	int rc = clone_list_load(&list, args.state_dir, now_ns, err);
	if (rc)
		return rc;
	json_t *array = json_array();
	for (size_t i = 0; i < list.count; i++)
		(void)json_array_append_new(array, snapshot_to_json(&list.entries[i], now_ns));
	json_t *object = json_pack("{s:s, s:s, s:o}", "schema", "rehearse.list-snapshots/1", "state_folder",
				   list.state_folder, "snapshots", array);
	print(&list, now_ns);
	output_json(object);
	json_decref(object);
	clone_list_release(&list);
	return 0;
}

const struct command cmd_list_snapshots = {
	.name = "list-snapshots",
	.summary = "lists clones: their state, size, age and URL",
	.arguments = "",
	.options = options,
	.run = run,
	.docs = "Shows every clone that has a record: snapshots, those that a run uses just now, and what crashes "
		"left. States: "
		"running, stopped (its server ended, after a reboot say), making, orphan (its owner died) and "
		"expired; the last two are what cleanup removes.",
	.examples = "rehearse list-snapshots\nrehearse list-snapshots --json",
};
