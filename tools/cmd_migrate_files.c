/* `rehearse migrate new` and `plan`: the folder, and the order that follows from it. */
#include "cmd_migrate.h"
#include "mem.h"
#include "output.h"

#include <string.h>

/* What nothing depends on yet. */
static void add_heads(const struct migrate_site *site, struct workflow_meta *meta)
{
	const struct workflow_edges *needed = &site->view.graph.dependants;
	meta->depends_on = mem_zalloc(site->folder.count + 1, sizeof(*meta->depends_on));
	for (size_t i = 0; i < site->folder.count; i++) {
		if (needed->begin[i] == needed->begin[i + 1])
			meta->depends_on[meta->depends_on_count++] = mem_strdup(site->folder.migrations[i].meta.id);
	}
}

static int add_named(const struct migrate_site *site, struct workflow_meta *meta, struct error *err)
{
	const struct option_list *names = &migrate_args.depends_on;
	bool none = names->count == 1 && strcmp(names->items[0], "none") == 0;
	meta->depends_on = mem_zalloc(names->count + 1, sizeof(*meta->depends_on));
	for (size_t i = 0; i < names->count && !none; i++) {
		size_t at;
		if (workflow_folder_lookup(&site->folder, names->items[i], &at, err) != 0)
			return error_context(err, "--depends-on");
		const char *id = site->folder.migrations[at].meta.id;
		for (size_t j = 0; j < meta->depends_on_count; j++) {
			if (strcmp(meta->depends_on[j], id) == 0)
				return error_set(err, ERR_USAGE, "--depends-on: %s is named twice", id);
		}
		meta->depends_on[meta->depends_on_count++] = mem_strdup(id);
	}
	return 0;
}

static char *join(char *const *words, size_t count)
{
	struct strbuf text;
	strbuf_init(&text, (size_t)64 * 1024);
	for (size_t i = 0; i < count; i++)
		strbuf_addf(&text, "%s%s", i ? " " : "", words[i]);
	return strbuf_detach(&text);
}

static int fill_meta(const struct migrate_call *call, const struct migrate_site *site, struct workflow_meta *meta,
		     struct error *err)
{
	const struct option_list *hot = &migrate_args.hot_path;
	workflow_meta_init(meta);
	meta->title = join(call->words, call->word_count);
	meta->data = migrate_args.data;
	meta->transaction = migrate_args.transaction;
	meta->reversible = migrate_args.reversible;
	meta->hot_path = mem_zalloc(hot->count + 1, sizeof(*meta->hot_path));
	for (size_t i = 0; i < hot->count; i++)
		meta->hot_path[meta->hot_path_count++] = mem_strdup(hot->items[i]);
	int rc = workflow_title_check(meta->title, err);
	if (rc)
		return rc;
	if (migrate_args.depends_on.count > 0)
		return add_named(site, meta, err);
	add_heads(site, meta);
	return 0;
}

static void show_new(const struct workflow_meta *meta, const char *folder)
{
	static const char *const names[] = {WORKFLOW_META_FILE, WORKFLOW_UP_FILE, WORKFLOW_DOWN_FILE};
	json_t *root = json_pack("{s:s, s:s, s:s, s:s}", "schema", "rehearse.migrate-new/1", "id", meta->id, "title",
				 meta->title, "folder", folder);
	json_t *files = json_array();
	for (size_t i = 0; i < (meta->reversible ? 3U : 2U); i++) {
		output_text("%s/%s\n", folder, names[i]);
		(void)json_array_append_new(files, json_sprintf("%s/%s", folder, names[i]));
	}
	(void)json_object_set_new(root, "files", files);
	(void)json_object_set_new(root, "depends_on", migrate_texts_to_json(meta->depends_on, meta->depends_on_count));
	output_json(root);
	json_decref(root);
}

int migrate_new(const struct migrate_call *call, struct error *err)
{
	struct migrate_site site = {0};
	struct workflow_meta meta;
	char *folder = NULL;
	workflow_meta_init(&meta);
	int rc = workflow_folder_load(migrate_args.directory, true, &site.folder, err);
	if (rc == 0)
		rc = workflow_view_init(&site.view, &site.folder, NULL, err);
	if (rc == 0)
		rc = fill_meta(call, &site, &meta, err);
	if (rc == 0)
		rc = workflow_folder_add(&site.folder, &meta, &folder, err);
	if (rc == 0)
		show_new(&meta, folder);
	free(folder);
	workflow_meta_release(&meta);
	migrate_site_release(&site);
	return rc;
}

static void show_planned(const struct workflow_migration *migration)
{
	const struct workflow_meta *meta = &migration->meta;
	output_text("  %s  %s", meta->id, meta->title);
	for (size_t i = 0; i < meta->depends_on_count; i++)
		output_text("%s%s", i ? ", " : "  <- ", meta->depends_on[i]);
	if (migration->up.statement_count == 0)
		output_text("  [no SQL yet]");
	if (!meta->transaction)
		output_text("  [no transaction]");
	if (meta->data || migration->amends_data)
		output_text("  [data]");
	if (meta->hot_all || meta->hot_path_count > 0)
		output_text("  [hot path]");
	if (!meta->reversible)
		output_text("  [no way back]");
	if (meta->skip)
		output_text("  [left to other means: %s]", meta->skip);
	output_text("\n");
}

static json_t *show_batches(const struct migrate_site *site, const struct workflow_choice *choice)
{
	json_t *batches = json_array();
	size_t shown = 0;
	for (size_t b = 0; b < choice->batch_count; b++) {
		json_t *batch = json_array();
		output_text("batch %zu\n", b + 1);
		for (size_t n = 0; n < site->folder.count; n++) {
			if (choice->batch[n] != b)
				continue;
			show_planned(&site->folder.migrations[n]);
			(void)json_array_append_new(batch, migrate_migration_to_json(&site->folder.migrations[n]));
			shown++;
		}
		(void)json_array_append_new(batches, batch);
	}
	output_text("%zu migration%s in %zu batch%s\n", shown, shown == 1 ? "" : "s", choice->batch_count,
		    choice->batch_count == 1 ? "" : "es");
	return batches;
}

static void show_holds(const struct migrate_site *site, const struct workflow_choice *choice)
{
	for (size_t i = 0; i < site->folder.count; i++) {
		const struct workflow_meta *meta = &site->folder.migrations[i].meta;
		if (choice->hold[i] == WORKFLOW_LEFT)
			output_text("left: %s  %s (%s)\n", meta->id, meta->title, meta->skip ? meta->skip : "--skip");
		else if (choice->hold[i] == WORKFLOW_HELD)
			output_text("held: %s  %s, which needs one that is left\n", meta->id, meta->title);
	}
}

/* Without a database all of them, in the order in which an empty one would get them. */
static void choose_all(const struct migrate_site *site, struct workflow_choice *choice)
{
	size_t count = site->folder.count;
	choice->wanted = mem_zalloc(count + 1, sizeof(*choice->wanted));
	choice->hold = mem_zalloc(count + 1, sizeof(*choice->hold));
	choice->batch = mem_zalloc(count + 1, sizeof(*choice->batch));
	choice->wanted_count = count;
	for (size_t i = 0; i < count; i++)
		choice->wanted[i] = true;
	choice->batch_count = workflow_graph_batches(&site->view.graph, choice->wanted, choice->batch);
}

static int choose(const struct migrate_site *site, struct workflow_choice *choice, struct error *err)
{
	const struct migrate_args *args = &migrate_args;
	struct workflow_up_request request;
	size_t *skip = NULL;
	if (!site->session && (args->to || args->only || args->skip.count > 0))
		return error_set(err, ERR_USAGE, "--to, --only and --skip need a --target, to tell what is pending");
	if (!site->session) {
		choose_all(site, choice);
		return 0;
	}
	int rc = migrate_read_request(site, &request, &skip, err);
	if (rc == 0)
		rc = workflow_choose_up(&site->view, &request, choice, err);
	free(skip);
	return rc;
}

int migrate_plan(const struct migrate_call *call, struct error *err)
{
	struct migrate_site site;
	struct workflow_choice choice = {0};
	(void)call;
	int rc = migrate_site_open(&site, true, err);
	if (rc == 0)
		rc = choose(&site, &choice, err);
	if (rc == 0) {
		json_t *root = json_pack("{s:s, s:s, s:s?}", "schema", "rehearse.migrate-plan/1", "directory",
					 site.folder.path, "target",
					 site.session ? workflow_session_place(site.session) : NULL);
		migrate_show_notes(&site);
		(void)json_object_set_new(root, "batches", show_batches(&site, &choice));
		(void)json_object_set_new(root, "held", migrate_holds_to_json(&site, &choice));
		(void)json_object_set_new(root, "notes",
					  migrate_texts_to_json(site.folder.notes, site.folder.note_count));
		show_holds(&site, &choice);
		output_json(root);
		json_decref(root);
	}
	workflow_choice_release(&choice);
	migrate_site_release(&site);
	return rc;
}
