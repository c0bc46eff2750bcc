/* Rolling a base backup forward: see clone_recovery.h. */
#include "clone_recovery.h"

#include "clock.h"
#include "clone_config.h"
#include "clone_server.h"
#include "mem.h"
#include "pg_conn.h"
#include "process.h"
#include "stop_flag.h"
#include "strbuf.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONF_NAME "recovery.conf"
#define CONF_MAX  ((size_t)64 * 1024)
#define LOG_MAX	  ((size_t)4 * 1024 * 1024)
#define LOOK_NS	  (50 * NS_PER_MS)

bool clone_recovery_is_wanted(const struct clone_request *request)
{
	return request->wal_archive || request->restore_command;
}

int clone_recovery_check(const struct clone_request *request, struct error *err)
{
	bool wanted = clone_recovery_is_wanted(request);
	if (request->wal_archive && request->restore_command)
		return error_set(err, ERR_USAGE, "give --wal-archive or --restore-command, not both");
	if (request->point_in_time_wall_ns && !wanted)
		return error_set(err, ERR_USAGE,
				 "a point in time needs the WAL since the base backup: --wal-archive FOLDER or "
				 "--restore-command COMMAND");
	if (wanted && request->source && pg_conn_is_conninfo(request->source))
		return error_set(err, ERR_USAGE,
				 "a running server is cloned as it is now; for a point in time the source is a base "
				 "backup");
	return 0;
}

/* In single quotes for sh, and '%' doubled for PostgreSQL. */
static void add_shell_path(struct strbuf *out, const char *path)
{
	strbuf_add_char(out, '\'');
	for (const char *p = path; *p; p++) {
		if (*p == '\'')
			strbuf_add_str(out, "'\\'");
		if (*p == '%')
			strbuf_add_char(out, '%');
		strbuf_add_char(out, *p);
	}
	strbuf_add_char(out, '\'');
}

/* Archives hold segments plain, or packed by whoever archives them. */
static char *archive_command(const char *folder)
{
	static const char *const ways[][2] = {
		{"", "exec cp "}, {".gz", "exec gzip -dc "}, {".zst", "exec zstd -dcq "}, {".lz4", "exec lz4 -dcq "}};
	struct strbuf out;
	strbuf_init(&out, CONF_MAX);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		strbuf_add_str(&out, i ? "elif [ -f " : "if [ -f ");
		add_shell_path(&out, folder);
		strbuf_addf(&out, "/%%f%s ]; then %s", ways[i][0], ways[i][1]);
		add_shell_path(&out, folder);
		strbuf_addf(&out, i ? "/%%f%s > \"%%p\"; " : "/%%f%s \"%%p\"; ", ways[i][0]);
	}
	strbuf_add_str(&out, "else exit 1; fi");
	return strbuf_detach(&out);
}

static void add_quoted(struct strbuf *out, const char *name, const char *value)
{
	strbuf_addf(out, "%s = '", name);
	for (const char *p = value; *p; p++) {
		if (*p == '\'' || *p == '\\')
			strbuf_add_char(out, *p);
		strbuf_add_char(out, *p == '\n' ? ' ' : *p);
	}
	strbuf_add_str(out, "'\n");
}

/*
 * What the recording's first item saw is what was committed by its time, so a commit of that very microsecond counts
 * (inclusive). hot_standby off: nobody looks while it recovers, and settings smaller than the primary's do not
 * stop it. The log is in the C
 * locale and UTC: it says what was reached.
 */
static int write_configuration(const struct clone_source *source, const struct clone_request *request,
			       const struct clone *clone, const char *archive, struct error *err)
{
	struct strbuf text;
	strbuf_init(&text, CONF_MAX);
	strbuf_add_str(&text, "# Written by rehearse: archive recovery.\ninclude 'server.conf'\n");
	char *own = archive ? archive_command(archive) : NULL;
	add_quoted(&text, "restore_command", own ? own : request->restore_command);
	free(own);
	strbuf_add_str(&text, "recovery_target = ''\nrecovery_target_lsn = ''\nrecovery_target_name = ''\n"
			      "recovery_target_xid = ''\nrecovery_target_inclusive = on\n"
			      "recovery_target_action = 'promote'\nrecovery_target_timeline = 'latest'\n"
			      "recovery_min_apply_delay = 0\nhot_standby = off\nlog_filename = 'recovery.log'\n"
			      "timezone = 'UTC'\n"
			      "archive_cleanup_command = ''\nrecovery_end_command = ''\n");
	/* Last: a word on any other target, even that there is none, is taken for a second one. */
	if (request->point_in_time_wall_ns) {
		char time[RFC3339_MAX];
		clock_format_rfc3339(request->point_in_time_wall_ns, time);
		(void)snprintf(strchr(time, 'Z'), 4, "+00"); /* names of zones, "Z" too, are not known this early */
		add_quoted(&text, "recovery_target_time", time);
	} else {
		strbuf_add_str(&text, "recovery_target_time = ''\n");
	}
	int rc = text.overflow ? error_set(err, ERR_USAGE, "the restore command is too long")
			       : clone_config_save(source, clone, CONF_NAME, text.data, text.len, err);
	strbuf_release(&text);
	if (rc == 0)
		rc = clone_config_save(source, clone, "data/recovery.signal", "", 0, err);
	return rc;
}

/* Said before PostgreSQL takes a folder that it cannot read for the end of the archive. */
static int check_archive(const struct clone_source *source, const struct clone *clone, const char *archive,
			 struct error *err)
{
	struct stat info;
	struct strbuf said;
	int code = 0;
	if (stat(archive, &info) != 0)
		return error_set_errno(err, ERR_DATA, "%s: no such WAL archive", archive);
	if (!S_ISDIR(info.st_mode))
		return error_set(err, ERR_DATA, "%s: the WAL archive is not a folder", archive);
	strbuf_init(&said, 1000);
	const char *const argv[] = {"test", "-r", archive, "-a", "-x", archive, NULL};
	int rc = clone_server_run(source, clone, argv, &said, &code, err);
	if (rc == 0 && code != 0)
		rc = error_set(err, ERR_DATA, "%s: user %s, who runs the clones, cannot read the WAL archive", archive,
			       source->user);
	strbuf_release(&said);
	return rc;
}

/* The recovering server's log, or "" ; to be freed. The last part of a very long one. */
static char *read_log(const struct clone *clone)
{
	char *path = mem_printf("%s/log/recovery.csv", clone->folder), *text = mem_zalloc(1, LOG_MAX + 1);
	FILE *file = fopen(path, "re");
	if (file) {
		if (fseek(file, -(long)LOG_MAX, SEEK_END) != 0)
			rewind(file);
		size_t got = fread(text, 1, LOG_MAX, file);
		text[got] = '\0';
		(void)fclose(file);
	}
	free(path);
	return text;
}

/* "2026-11-22 00:41:17.123456+00" behind the last `words`, as RFC 3339; NULL when it was not said. To be freed. */
static char *time_behind(const char *log, const char *words)
{
	const char *found = NULL;
	for (const char *p = log; (p = strstr(p, words)); p++)
		found = p + strlen(words);
	size_t len = found ? strspn(found, "0123456789-: .+") : 0;
	if (len < 19)
		return NULL;
	char *time = mem_strndup(found, len);
	time[10] = 'T';
	size_t end = strlen(time);
	if (end > 3 && strcmp(time + end - 3, "+00") == 0) {
		time[end - 3] = 'Z';
		time[end - 2] = '\0';
	}
	return time;
}

/* When the base backup began, by the label in its data directory, as written there; NULL for none. To be freed. */
static char *backup_start(const char *data)
{
	/* Renamed once a server has read it. */
	static const char *const names[] = {"backup_label", "backup_label.old"};
	char line[512], *start = NULL;
	for (size_t i = 0; i < 2 && !start; i++) {
		char *path = mem_printf("%s/%s", data, names[i]);
		FILE *file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file)) {
			line[strcspn(line, "\n")] = '\0';
			if (strncmp(line, "START TIME: ", 12) == 0)
				start = mem_strdup(line + 12);
		}
		if (file)
			(void)fclose(file);
		free(path);
	}
	return start;
}

/* Of a broken-down time in UTC; 0 when text does not match. *rest is what follows it. */
static int64_t read_utc(const char *text, const char *format, const char **rest)
{
	struct tm tm = {0};
	*rest = strptime(text, format, &tm);
	return *rest ? (int64_t)timegm(&tm) * NS_PER_S : 0;
}

static int begun_too_late(const char *start, const struct clone_request *request, struct error *err)
{
	char target[RFC3339_MAX];
	clock_format_rfc3339(request->point_in_time_wall_ns, target);
	return error_set(err, ERR_DATA,
			 "the base backup is of %s, and not older than %s; clones as of then need an "
			 "older one",
			 start, target);
}

/* Both times are cut to a second: what is not surely older is refused. */
static bool is_older(int64_t start_wall_ns, const struct clone_request *request)
{
	return start_wall_ns + NS_PER_S <= request->point_in_time_wall_ns;
}

/* A data directory without a label is as old as its last checkpoint (pg_controldata). */
static int check_control_file(const struct clone_source *source, const struct clone_request *request, struct error *err)
{
	static const char label[] = "Time of latest checkpoint:";
	struct strbuf said;
	struct process_options options = PROCESS_OPTIONS_INIT;
	char *program = clone_source_program(source, "pg_controldata");
	int code = 0;
	strbuf_init(&said, CONF_MAX);
	options.argv = (const char *const[]){program, "-D", source->folder, NULL};
	options.environment = (const char *const[]){"LC_ALL=C", "TZ=UTC", NULL};
	int rc = process_run(&options, NULL, &said, &code, err);
	char *line = rc == 0 && code == 0 ? strstr(said.data, label) : NULL;
	if (line) {
		const char *rest;
		line += sizeof(label) - 1;
		line += strspn(line, " ");
		line[strcspn(line, "\n")] = '\0';
		int64_t start_ns = read_utc(line, "%a %b %d %H:%M:%S %Y", &rest);
		if (rest && !is_older(start_ns, request))
			rc = begun_too_late(line, request, err);
	}
	strbuf_release(&said);
	free(program);
	return rc;
}

int clone_recovery_check_source(const struct clone_source *source, const struct clone_request *request,
				struct error *err)
{
	int rc = 0;
	const char *rest;
	if (!clone_recovery_is_wanted(request) || !request->point_in_time_wall_ns || source->packed)
		return 0;
	char *start = backup_start(source->folder);
	if (!start)
		return check_control_file(source, request, err);
	int64_t start_ns = read_utc(start, "%Y-%m-%d %H:%M:%S", &rest);
	bool is_utc = rest && (strcmp(rest, " UTC") == 0 || strcmp(rest, " GMT") == 0);
	if (is_utc && !is_older(start_ns, request))
		rc = begun_too_late(start, request, err);
	free(start);
	return rc;
}

int clone_recovery_verify(const struct clone_request *request, const struct clone_set *set, struct error *err)
{
	const char *rest;
	char *answer = NULL;
	PGconn *conn = NULL;
	if (!clone_recovery_is_wanted(request) || !request->point_in_time_wall_ns)
		return 0;
	char *data = mem_printf("%s/data", set->clones[0].folder), *start = backup_start(data);
	free(data);
	if (!start)
		return 0;
	int rc = 0;
	/* It is in the source's log_timezone (do_pg_backup_start()), which the clone has from its configuration. */
	if (read_utc(start, "%Y-%m-%d %H:%M:%S", &rest) && rest == start + 19) {
		char *sql = mem_printf("SELECT extract(epoch FROM timestamp '%.19s' AT TIME ZONE"
				       " current_setting('log_timezone'))::bigint",
				       start);
		rc = pg_conn_open(set->clones[0].url, PG_CONN_APPLICATION, &conn, err);
		if (rc == 0)
			rc = pg_conn_value(conn, sql, "asking for the backup's time", &answer, err);
		free(sql);
		PQfinish(conn);
	}
	if (rc == 0 && answer && !is_older(strtoll(answer, NULL, 10) * NS_PER_S, request))
		rc = begun_too_late(start, request, err);
	free(answer);
	free(start);
	return rc;
}

static int archive_too_short(const char *log, const char *target, struct error *err)
{
	char *last = time_behind(log, "last completed transaction was at log time ");
	int rc = error_set(err, ERR_DATA,
			   "the WAL archive ends before %s: %s%s; --point-in-time latest takes all there is", target,
			   last ? "its last transaction is of " : "no transaction in it has a time", last ? last : "");
	free(last);
	return rc;
}

/* Why the recovering server ended, in words of the request. */
static int explain(const struct clone *clone, const char *log, const char *target, struct error *err)
{
	if (strstr(log, "recovery ended before configured recovery target was reached"))
		return archive_too_short(log, target, err);
	if (strstr(log, "requested recovery stop point is before consistent recovery point")) {
		char *data = mem_printf("%s/data", clone->folder), *start = backup_start(data);
		free(data);
		int rc = error_set(err, ERR_DATA,
				   "the base backup%s%s ended after %s; clones as of then need an older one",
				   start ? ", begun at " : "", start ? start : "", target);
		free(start);
		return rc;
	}
	if (strstr(log, "WAL ends before end of online backup") ||
	    strstr(log, "WAL ends before consistent recovery point"))
		return error_set(err, ERR_DATA,
				 "the WAL archive does not have all that was written during the base backup");
	if (strstr(log, "could not locate required checkpoint record") ||
	    strstr(log, "could not locate a valid checkpoint record") || strstr(log, "could not find redo location"))
		return error_set(err, ERR_DATA,
				 "the WAL archive does not have the WAL that the base backup begins with");
	const char *fatal = NULL;
	for (const char *p = log; (p = strstr(p, "FATAL,")); p++)
		fatal = p;
	if (!fatal)
		return clone_server_explain_end(clone, err);
	return error_set(err, ERR_DATA, "rolling the base backup forward failed: %.*s", (int)strcspn(fatal, "\n"),
			 fatal);
}

/* Until it takes connections, which it does once it is promoted. */
static int await_promotion(struct clone *clone, const struct clone_request *request, const char *target,
			   struct error *err)
{
	char *url = clone_server_url(clone, "postgres", "template1");
	int rc = 0;
	bool up = false;
	while (!up && rc == 0) {
		up = PQping(url) == PQPING_OK;
		if (!up && clone_server_has_ended(clone, LOOK_NS)) {
			char *log = read_log(clone);
			rc = explain(clone, log, target, err);
			free(log);
		} else if (!up && stop_flag_is_set(request->cancelled)) {
			rc = error_set(err, ERR_INTERRUPTED, "rolling forward clone %s: interrupted", clone->name);
		}
	}
	free(url);
	return rc;
}

/* PostgreSQL 12 promotes at the archive's end without a word on a target that it did not reach. */
static int take_result(const struct clone_request *request, struct clone_set *set, const char *target,
		       struct error *err)
{
	char *log = read_log(&set->clones[0]);
	bool stopped = strstr(log, "recovery stopping ") != NULL;
	int rc = 0;
	if (request->point_in_time_wall_ns && !stopped)
		rc = archive_too_short(log, target, err);
	set->last_transaction = time_behind(log, "last completed transaction was at log time ");
	free(log);
	return rc;
}

int clone_recovery_run(const struct clone_source *source, const struct clone_request *request, struct clone_set *set,
		       struct error *err)
{
	struct clone *clone = &set->clones[0];
	char target[RFC3339_MAX] = "its end", *archive = NULL;
	int rc = 0;
	if (request->point_in_time_wall_ns)
		clock_format_rfc3339(request->point_in_time_wall_ns, target);
	if (request->wal_archive) {
		archive = realpath(request->wal_archive, NULL);
		rc = archive ? check_archive(source, clone, archive, err)
			     : error_set_errno(err, ERR_DATA, "%s: no such WAL archive", request->wal_archive);
	}
	if (rc == 0)
		rc = write_configuration(source, request, clone, archive, err);
	if (rc == 0)
		rc = clone_server_start_with(source, clone, CONF_NAME, err);
	if (rc == 0)
		rc = await_promotion(clone, request, target, err);
	if (rc == 0)
		rc = clone_server_shut_down(clone, request->cancelled, err);
	clone_server_stop(clone); /* after a failure */
	if (rc == 0)
		rc = take_result(request, set, target, err);
	free(archive);
	return rc;
}
