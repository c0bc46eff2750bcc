/* What every report says first: see report_facts.h. */
#include "report_facts.h"

#include "html_text.h"
#include "lock_effect.h"

#include <math.h>

enum verdict_outcome report_outcome(const json_t *document)
{
	int outcome = VERDICT_CLEAR;
	while (outcome < VERDICT_INVALID &&
	       strcmp(html_text_of(document, "outcome"), verdict_outcome_name((enum verdict_outcome)outcome)) != 0)
		outcome++;
	return (enum verdict_outcome)outcome;
}

const char *report_outcome_word(enum verdict_outcome outcome)
{
	static const char *const words[] = {"Clear", "Hurts", "Cannot tell", "Invalid run"};
	return words[outcome];
}

const json_t *report_longest_stall(const json_t *document)
{
	const json_t *longest = NULL;
	const json_t *stall;
	size_t i;
	json_array_foreach (json_object_get(document, "stalls"), i, stall) {
		if (!longest || html_number_of(stall, "duration_ms") > html_number_of(longest, "duration_ms"))
			longest = stall;
	}
	return longest;
}

double report_new_errors(const json_t *document, const char **first_code)
{
	size_t i;
	const json_t *entry;
	double count = 0;
	*first_code = "";
	json_array_foreach (json_object_get(document, "errors"), i, entry) {
		if (strcmp(html_text_of(entry, "result"), "migration") != 0)
			continue;
		double more = html_number_of(entry, "migrating") - html_number_of(entry, "baseline");
		count += more > 1 ? more : 1;
		*first_code = **first_code ? *first_code : html_text_of(entry, "sqlstate");
	}
	return count;
}

bool report_query_is_found(const json_t *query)
{
	const char *result = html_text_of(query, "result");
	return strcmp(result, "hurts") == 0 || strcmp(result, "slower") == 0;
}

const json_t *report_worst_query(const json_t *document)
{
	size_t i;
	const json_t *query;
	const json_t *worst = NULL;
	bool worst_found = false;
	json_array_foreach (json_object_get(document, "queries"), i, query) {
		bool found = report_query_is_found(query);
		if (strcmp(html_text_of(query, "result"), "cannot_tell") == 0 || (worst_found && !found))
			continue;
		if (!worst || (found && !worst_found) ||
		    html_number_of(query, "ratio") > html_number_of(worst, "ratio"))
			worst = query;
		worst_found |= found;
	}
	return worst;
}

bool report_rule_fires(const json_t *document, const char *name)
{
	size_t i;
	const json_t *rule;
	json_array_foreach (json_object_get(document, "rules"), i, rule) {
		if (strcmp(html_text_of(rule, "name"), name) == 0 && strcmp(html_text_of(rule, "result"), "pass") != 0)
			return true;
	}
	return false;
}

static bool has_word(const char *sql, const char *word)
{
	return strcasestr(sql, word) != NULL;
}

/* Against locks: by who stood first, then by what the statement is. */
static const char *hint_of_stall(const json_t *stall)
{
	static const struct {
		const char *words[2]; /* all of them */
		const char *hint;
	} hints[] = {
		{{"CREATE", "INDEX"}, "CREATE INDEX CONCURRENTLY builds the index without keeping writers out."},
		{{"DROP INDEX", ""}, "DROP INDEX CONCURRENTLY waits without keeping others out."},
		{{"ADD", "CHECK"},
		 "Add the constraint as NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own: the scan then "
		 "keeps nobody out."},
		{{"FOREIGN KEY", ""},
		 "Add the constraint as NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own: the scan then "
		 "keeps nobody out."},
		{{"SET NOT NULL", ""},
		 "Add CHECK (column IS NOT NULL) NOT VALID and validate it first: SET NOT NULL then needs no scan."},
		{{" TYPE ", ""},
		 "Add a column of the new type, fill it in small batches, and swap the two in a short transaction; a "
		 "change of type in place rewrites the table under its strongest lock."},
	};
	const char *sql = "";
	size_t i;
	const json_t *link;
	const json_t *chain = json_object_get(stall, "chain");
	json_array_foreach (chain, i, link) {
		bool migration = strcmp(html_text_of(link, "who"), "migration") == 0;
		if (i == 0 && !migration)
			return "The migration queued behind another session, and everybody else behind the migration: "
			       "set lock_timeout to a fraction of a second and retry.";
		if (migration)
			sql = html_text_of(link, "sql");
	}
	if (strcmp(html_text_of(stall, "lock"), "advisory") == 0)
		return "Let go of the advisory lock before anything that takes long, ask for it with "
		       "pg_try_advisory_lock(), and give a migration a key that the application does not use.";
	if (strcmp(html_text_of(stall, "lock"), "rows") == 0)
		return "Change rows in small batches, each in a transaction of its own: whoever wants one of them then "
		       "waits for one batch at most.";
	for (i = 0; !has_word(sql, "CONCURRENTLY") && i < sizeof(hints) / sizeof(*hints); i++) {
		if (has_word(sql, hints[i].words[0]) && has_word(sql, hints[i].words[1]))
			return hints[i].hint;
	}
	return "Set lock_timeout and retry; do long work in transactions that hold no strong lock.";
}

/* The verdict never comes from such a list, only the advice does. */
const char *report_hint(const json_t *document)
{
	if (report_rule_fires(document, "stall.max") || report_rule_fires(document, "blocked.query_seconds"))
		return hint_of_stall(report_longest_stall(document));
	if (report_rule_fires(document, "slow.query_seconds"))
		return "Create the new index before the old one is dropped (both CONCURRENTLY), so that no query is "
		       "ever without one.";
	if (report_rule_fires(document, "errors.new"))
		return "Old statements meet the new schema: first release the application that no longer needs the old "
		       "one, then migrate (expand, then contract).";
	return NULL;
}

/* Modes that the manual does not know have no rank: the first of them stands for a statement that has no other. */
const char *report_strongest_mode(const json_t *statement)
{
	size_t i;
	const json_t *lock;
	const char *strongest = "";
	json_array_foreach (json_object_get(statement, "locks"), i, lock) {
		const char *mode = html_text_of(lock, "mode");
		if (!*strongest || lock_mode_rank(mode) > lock_mode_rank(strongest))
			strongest = mode;
	}
	return strongest;
}

double report_statement_end_s(const json_t *statement)
{
	return fmax(html_number_of(statement, "end_s"), html_number_of(statement, "transaction_end_s"));
}

#define STRONG_RANK 4 /* ShareUpdateExclusiveLock: from there on DDL, and VACUUM, are kept out */
#define LASTING_S   0.1

static double took_s(const json_t *statement)
{
	return html_number_of(statement, "end_s") - html_number_of(statement, "start_s");
}

double report_statement_weight(const json_t *statement)
{
	double rank = lock_mode_rank(report_strongest_mode(statement));
	double lasted_s = rank >= STRONG_RANK ? report_statement_end_s(statement) - html_number_of(statement, "start_s")
					      : took_s(statement);
	/* A day is shorter than the step from one mode to the next. */
	return (rank >= STRONG_RANK ? rank * 1e5 : 0) + fmin(lasted_s, 99999);
}

bool report_statement_matters(const json_t *statement)
{
	return lock_mode_rank(report_strongest_mode(statement)) >= STRONG_RANK || took_s(statement) >= LASTING_S ||
	       json_array_size(json_object_get(statement, "rewrite")) > 0 ||
	       json_is_object(json_object_get(statement, "error"));
}

double report_migration_s(const json_t *document)
{
	const json_t *run = json_object_get(document, "migration_run");
	if (!json_is_number(json_object_get(run, "start_s")) || !json_is_number(json_object_get(run, "end_s")))
		return -1;
	return html_number_of(run, "end_s") - html_number_of(run, "start_s") - html_number_of(run, "measuring_s");
}

const char *report_replay_name(const json_t *document)
{
	const json_t *file = json_object_get(json_object_get(document, "environment"), "replay_file");
	const char *path = html_text_of(file, "path");
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* A word for a shell; what is not plainly harmless goes into quotes. */
static void add_word(struct strbuf *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:@%+=";
	strbuf_add_char(out, ' ');
	if (*word && word[strspn(word, plain)] == '\0') {
		strbuf_add_str(out, word);
		return;
	}
	strbuf_add_char(out, '\'');
	for (const char *p = word; *p; p++) {
		if (*p == '\'')
			strbuf_add_str(out, "'\\''");
		else
			strbuf_add_char(out, (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
	}
	strbuf_add_char(out, '\'');
}

#define COMMAND_FILES_MAX 8

/* " --name 12.5s", when it is more than nothing. */
static void add_seconds(struct strbuf *out, const char *name, const json_t *value)
{
	if (json_number_value(value) > 0)
		strbuf_addf(out, " --%s %.9gs", name, json_number_value(value));
}

/* What makes it the same replay again: when the migration began, how fast, which part. */
static void add_replay_options(const json_t *document, struct strbuf *out)
{
	const json_t *environment = json_object_get(document, "environment");
	const json_t *file = json_object_get(environment, "replay_file");
	const json_t *speed = json_object_get(environment, "speed");
	add_seconds(out, "migrate-at", json_object_get(environment, "migrate_at_s"));
	if (json_is_number(speed) && json_number_value(speed) <= 0)
		strbuf_add_str(out, " --speed max");
	else if (json_is_number(speed) && fabs(json_number_value(speed) - 1) > 1e-9)
		strbuf_addf(out, " --speed %.9g", json_number_value(speed));
	add_seconds(out, "start-at", json_object_get(file, "start_at_s"));
	add_seconds(out, "stop-at", json_object_get(file, "stop_at_s"));
}

void report_add_command(const json_t *document, struct strbuf *out)
{
	const char *replay = report_replay_name(document);
	const char *last = "";
	size_t files = 0;
	size_t i;
	const json_t *statement;
	strbuf_add_str(out, "rehearse test-migration");
	/* What test-migration makes of logs is gone with it. */
	if (*replay && strcmp(replay, "recorded.replay") != 0) {
		strbuf_add_str(out, " --replay");
		add_word(out, replay);
	} else {
		strbuf_add_str(out, " LOGS");
	}
	strbuf_add_str(out, " --source URL");
	json_array_foreach (json_object_get(document, "migration"), i, statement) {
		const char *file = html_text_of(statement, "file");
		if (!*file || strcmp(file, last) == 0)
			continue;
		if (files == COMMAND_FILES_MAX) {
			strbuf_add_str(out, " …");
			break;
		}
		if (files++ == 0)
			strbuf_add_str(out, " --migration");
		add_word(out, file);
		last = file;
	}
	/* A tool's command line may hold a password, so nobody wrote it down. */
	if (files == 0 && json_is_object(json_object_get(json_object_get(document, "migration_run"), "tool")))
		strbuf_add_str(out, " --migration-command COMMAND");
	add_replay_options(document, out);
	strbuf_add_str(out, " -o RUN");
}
