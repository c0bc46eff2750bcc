/*
 * rehearse create-snapshot: clones that stay when the command ends, for run-replay, trace, or a look around. From then
 * on a record and a time to live are all that watches over them.
 */
#include "clock.h"
#include "clone_args.h"
#include "commands.h"
#include "interrupt.h"
#include "mem.h"
#include "num.h"
#include "output.h"

#include <unistd.h>

#define LANES_MAX 16

static struct clone_args args;
static const char *name;
static const char *lanes_wanted;
static const char *replay;
static int64_t ttl_ns;

static const struct option options[] = {
	CLONE_ARG_ROWS(args),
	OPT_STRING('n', "name", &name, "NAME", "letters, digits, '-' and '_'", .standard_note = "made up"),
	OPT_STRING(0, "lanes", &lanes_wanted, "N|NAME,…", "how many clones, equal to each other, or their names",
		   .standard = "2"),
	OPT_STRING(0, "replay", &replay, "FILE", "the replay file that --point-in-time replay means"),
	OPT_DURATION(0, "ttl", &ttl_ns, "TIME", "after this, cleanup removes them", .standard = "8h"),
	OPT_END,
};

/* Names for the lanes; strings that live as long as the process. */
static int read_lanes(const char *text, const char **lanes, size_t *count, struct error *err)
{
	static const char *const usual[] = {"baseline", "migrating", "scratch"};
	static char made_up[LANES_MAX][16];
	int64_t number;
	struct error ignored = ERROR_INIT;
	*count = 0;
	if (num_parse_int(text, 1, LANES_MAX, &number, &ignored) == 0) {
		for (; *count < (size_t)number; (*count)++) {
			(void)snprintf(made_up[*count], sizeof(made_up[0]), "lane%zu", *count + 1);
			lanes[*count] = *count < 3 ? usual[*count] : made_up[*count];
		}
		return 0;
	}
	static char *copy;
	if (strspn(text, "0123456789") == strlen(text))
		return error_set(err, ERR_USAGE, "--lanes: '%s' is no number from 1 to %d", text, LANES_MAX);
	free(copy);
	char *rest = copy = mem_strdup(text);
	for (char *one; (one = strsep(&rest, ","));) {
		if (*count == LANES_MAX || !clone_name_is_good(one))
			return error_set(err, ERR_USAGE,
					 "--lanes: '%s' is neither a number from 1 to %d nor a list of names", text,
					 LANES_MAX);
		lanes[(*count)++] = one;
	}
	return 0;
}

static json_t *to_json(const struct clone_set *set)
{
	char created[RFC3339_MAX], expires[RFC3339_MAX];
	clock_format_rfc3339(set->records[0].created_wall_ns, created);
	clock_format_rfc3339(clone_record_expiry_wall_ns(&set->records[0]), expires);
	json_t *lanes = json_array();
	for (size_t i = 0; i < set->count; i++) {
		const struct clone_record *r = &set->records[i];
		json_t *one = json_pack("{s:s, s:s, s:s?, s:s?}", "name", r->name, "lane", r->lane, "url", r->url,
					"folder", r->folder);
		(void)json_object_set_new(one, "size_bytes",
					  r->size_bytes < 0 ? json_null() : json_integer(r->size_bytes));
		(void)json_array_append_new(lanes, one);
	}
	json_t *object = clone_set_describe(set);
	(void)json_object_set_new(object, "schema", json_string("rehearse.create-snapshot/1"));
	(void)json_object_set_new(object, "name", json_string(set->records[0].set));
	(void)json_object_set_new(object, "created", json_string(created));
	(void)json_object_set_new(object, "expires", json_string(expires));
	(void)json_object_set_new(object, "clones", lanes);
	return object;
}

static void print(const struct clone_set *set)
{
	const struct clone_record *first = &set->records[0];
	char expires[RFC3339_MAX], point[RFC3339_MAX];
	clock_format_rfc3339(clone_record_expiry_wall_ns(first), expires);
	expires[19] = 'Z';
	expires[20] = '\0';
	for (size_t i = 0; i < set->count; i++)
		output_text("%-10s %s\n", set->records[i].lane, set->records[i].url ? set->records[i].url : "");
	if (set->point_in_time_wall_ns) {
		clock_format_rfc3339(set->point_in_time_wall_ns, point);
		output_text("as of      %s%s%s\n", point, set->last_transaction ? ", last transaction " : "",
			    set->last_transaction ? set->last_transaction : "");
	}
	output_text("expires    %s\n", expires);
	if (set->count == 2)
		output_text("next       rehearse run-replay FILE --baseline '%s' --migrating '%s' -o RUN\n",
			    set->records[0].url ? set->records[0].url : "",
			    set->records[1].url ? set->records[1].url : "");
	output_text("remove     rehearse destroy-snapshot %s\n", first->set);
	for (size_t i = 0; i < set->count; i++) {
		if (set->clones[i].url && set->records[i].url && strcmp(set->clones[i].url, set->records[i].url) != 0) {
			output_message("The URLs are shown without their passwords; put those into a passfile.");
			break;
		}
	}
}

static int run(const struct command_call *call, struct error *err)
{
	const char *lanes[LANES_MAX], *last_step = NULL;
	const struct clone_provider *provider;
	struct clone_request request;
	struct clone_set *set = NULL;
	size_t count;
	clone_args_use_state_dir(args.state_dir);
	int rc = clone_args_apply(&args, call->config, replay, &request, &provider, err);
	if (rc == 0)
		rc = read_lanes(lanes_wanted, lanes, &count, err);
	if (rc == 0 && ttl_ns <= 0)
		rc = error_set(err, ERR_USAGE, "--ttl: a snapshot has to live for some time");
	if (rc)
		return rc;
	char *own_name = name ? mem_strdup(name)
			      : mem_printf("snap-%ld-%llx", (long)getpid(),
					   (unsigned long long)(clock_wall_ns() / NS_PER_MS) & 0xffffffULL);
	request.name = own_name;
	request.lanes = lanes;
	request.lane_count = count;
	request.time_to_live_ns = ttl_ns;
	request.cancelled = interrupt_flag();
	request.progress = clone_args_show_step;
	request.progress_context = &last_step;
	rc = clone_set_create(provider, &request, &set, err);
	if (rc == 0 && clone_set_keep(set, err) < 0) {
		struct error removal = ERROR_INIT;
		rc = -err->code;
		(void)clone_set_destroy(set, &removal);
	} else if (rc == 0) {
		json_t *object = to_json(set);
		print(set);
		output_json(object);
		json_decref(object);
		clone_set_free(set);
	}
	free(own_name);
	return rc;
}

const struct command cmd_create_snapshot = {
	.name = "create-snapshot",
	.summary = "makes clones of a database that stay, as of now or of a point in time",
	.arguments = "",
	.options = options,
	.run = run,
	.docs = "Makes one or more equal clones of the source and leaves their servers running. Each is marked as a "
		"clone, "
		"so that run-replay and trace take it as a target. list-snapshots shows them; destroy-snapshot removes "
		"them; when --ttl is over cleanup does.\n\n"
		"With --wal-archive or --restore-command the source is a base backup, which is rolled forward to "
		"--point-in-time. With --clone-create and --clone-destroy the clones are whatever those commands make "
		"(docs/clones.md has their contract).",
	.examples = "rehearse create-snapshot --source /srv/backup --name friday\n"
		    "rehearse create-snapshot --source /srv/backup --wal-archive /srv/wal --point-in-time "
		    "2026-11-20T17:00:00Z --lanes 1 --ttl 2h",
};
