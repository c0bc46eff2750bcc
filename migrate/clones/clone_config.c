/* The configuration of a clone's server: see clone_config.h. */
#include "clone_config.h"

#include "clone_server.h"
#include "logging.h"
#include "mem.h"
#include "out_file.h"
#include "pg_target.h"
#include "strbuf.h"

#include <ctype.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONF_MAX ((size_t)1024 * 1024)
#define SAID_MAX ((size_t)4096)

static int own_file(const struct clone_source *source, const char *path, struct error *err)
{
	if (source->uid == (uid_t)-1 || chown(path, source->uid, source->gid) == 0)
		return 0;
	return error_set_errno(err, ERR_INTERNAL, "%s: cannot give it to %s", path, source->user);
}

int clone_config_save(const struct clone_source *source, const struct clone *clone, const char *name, const char *text,
		      size_t len, struct error *err)
{
	char *path = mem_printf("%s/%s", clone->folder, name);
	int rc = out_file_save(path, text, len, err);
	if (rc == 0)
		rc = own_file(source, path, err);
	free(path);
	return rc;
}

/*
 * Ours over the source's. What could reach out (archiving, replication in both directions, scheduled jobs), what could
 * hang (a synchronous standby that is not there), what could collide (ports, folders), and a log that says who waited
 * for whom and no statement. The rest stays the source's, so that both lanes behave as it does.
 */
static void add_overrides(struct strbuf *out, const struct clone_source *source, const struct clone *clone)
{
	int version = source->version;
	strbuf_addf(out,
		    "\n# rehearse\ndata_directory = '%s/data'\nhba_file = '%s/hba.conf'\nident_file = '%s/ident.conf'\n"
		    "external_pid_file = ''\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\n"
		    "unix_socket_group = ''\nunix_socket_permissions = 0700\nbonjour = off\nssl = off\n",
		    clone->folder, clone->folder, clone->folder, clone->folder);
	strbuf_addf(out, "archive_mode = off\narchive_command = ''\nrestore_command = ''\nprimary_conninfo = ''\n"
			 "primary_slot_name = ''\narchive_cleanup_command = ''\nrecovery_end_command = ''\n"
			 "synchronous_standby_names = ''\nmax_logical_replication_workers = 0\n"
			 "cron.launch_active_jobs = off\npg_partman_bgw.dbname = ''\n");
	if (version >= 15)
		strbuf_add_str(out, "archive_library = ''\n");
	if (version < 15)
		strbuf_add_str(out, "stats_temp_directory = 'pg_stat_tmp'\n");
	if (version >= 17)
		strbuf_add_str(out, "sync_replication_slots = off\nsynchronized_standby_slots = ''\n");
	strbuf_addf(out,
		    "logging_collector = on\nlog_destination = 'csvlog'\nlog_directory = '%s/log'\n"
		    "log_filename = 'server.log'\nlog_rotation_age = 0\nlog_rotation_size = 0\nlog_file_mode = 0600\n"
		    "log_truncate_on_rotation = off\nlog_lock_waits = on\ndeadlock_timeout = 50ms\n"
		    "log_min_messages = warning\nlog_statement = none\nlog_min_duration_statement = -1\nlog_duration = "
		    "off\n"
		    "log_connections = off\nlog_disconnections = off\nlog_transaction_sample_rate = 0\n"
		    "log_min_error_statement = panic\nlog_error_verbosity = default\nlc_messages = 'C'\n",
		    clone->folder);
	if (version >= 13)
		strbuf_add_str(out, "log_min_duration_sample = -1\nlog_parameter_max_length_on_error = 0\n");
	strbuf_addf(out, "cluster_name = '%s'\n" PG_TARGET_MARKER_GUC " = '%s'\n", clone->name, clone->name);
}

static void add_include(struct strbuf *out, const char *path)
{
	strbuf_add_str(out, "include_if_exists = '");
	for (const char *p = path; *p; p++) {
		if (*p == '\'')
			strbuf_add_char(out, *p);
		strbuf_add_char(out, *p);
	}
	strbuf_add_str(out, "'\n");
}

static int write_conf(const struct clone_source *source, const struct clone *clone, const char *libraries,
		      struct error *err)
{
	struct strbuf text;
	strbuf_init(&text, CONF_MAX);
	char *inside = mem_printf("%s/data/postgresql.conf", clone->folder);
	char *altered = mem_printf("%s/source.auto.conf", clone->folder);
	strbuf_add_str(&text, "# Written by rehearse: the source's configuration, and the clone's over it.\n");
	add_include(&text, source->conf ? source->conf : inside);
	add_include(&text, altered);
	strbuf_add_str(&text, source->settings);
	add_overrides(&text, source, clone);
	if (libraries)
		strbuf_addf(&text, "shared_preload_libraries = '%s'\n", libraries);
	int rc = text.overflow ? error_set(err, ERR_DATA, "the source's configuration is too long")
			       : clone_config_save(source, clone, "server.conf", text.data, text.len, err);
	strbuf_release(&text);
	free(inside);
	free(altered);
	return rc;
}

/* ALTER SYSTEM's file is read after every other one: it is taken out of the way, and ours over it. */
static int move_auto_conf(const struct clone_source *source, const struct clone *clone, struct error *err)
{
	static const char *const signals[] = {"standby.signal", "recovery.signal"};
	char *from = mem_printf("%s/data/postgresql.auto.conf", clone->folder);
	char *to = mem_printf("%s/source.auto.conf", clone->folder);
	int rc = 0;
	/* In a copy of another clone it has gone that way already. */
	if (access(to, F_OK) != 0 && rename(from, to) != 0 && errno != ENOENT)
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot move it", from);
	if (rc == 0)
		rc = clone_config_save(source, clone, "data/postgresql.auto.conf", "", 0, err);
	for (size_t i = 0; i < 2; i++) { /* a backup of a standby: the clone recovers and stands alone */
		char *path = mem_printf("%s/data/%s", clone->folder, signals[i]);
		(void)unlink(path);
		free(path);
	}
	free(from);
	free(to);
	return rc;
}

/* Libraries that connect to other servers by themselves, and have no setting against it. */
static bool reaches_out(const char *name, size_t len)
{
	static const char *const libraries[] = {"pglogical",	     "spock",	      "bdr", "repmgr",
						"pg_failover_slots", "pgautofailover"};
	for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++) {
		if (len == strlen(libraries[i]) && strncmp(name, libraries[i], len) == 0)
			return true;
	}
	return false;
}

/* The list without those; NULL when it has none of them. */
static char *filter_libraries(const char *list)
{
	struct strbuf kept;
	strbuf_init(&kept, CONF_MAX);
	bool dropped = false;
	for (const char *p = list; *p;) {
		size_t len = strcspn(p, ",\n");
		const char *name = p;
		size_t name_len = len;
		while (name_len > 0 && (isspace((unsigned char)*name) || *name == '"')) {
			name++;
			name_len--;
		}
		while (name_len > 0 && (isspace((unsigned char)name[name_len - 1]) || name[name_len - 1] == '"'))
			name_len--;
		if (reaches_out(name, name_len)) {
			log_warn("the clones run without %.*s, which connects to other servers", (int)name_len, name);
			dropped = true;
		} else if (name_len > 0) {
			strbuf_addf(&kept, "%s%.*s", kept.len ? "," : "", (int)name_len, name);
		}
		p += len + (p[len] != '\0');
	}
	char *result = dropped ? strbuf_detach(&kept) : NULL;
	strbuf_release(&kept);
	return result;
}

/* Asks the server's own program for the list, as it reads the configuration; says early what is wrong with that. */
static int read_libraries(const struct clone_source *source, const struct clone *clone, char **libraries,
			  struct error *err)
{
	char *program = clone_source_program(source, "postgres");
	char *data = mem_printf("%s/data", clone->folder),
	     *conf = mem_printf("config_file=%s/server.conf", clone->folder);
	const char *const argv[] = {program, "-D", data, "-c", conf, "-C", "shared_preload_libraries", NULL};
	struct strbuf said;
	strbuf_init(&said, SAID_MAX);
	int code = 0;
	int rc = clone_server_run(source, clone, argv, &said, &code, err);
	while (said.len > 0 && said.data[said.len - 1] == '\n')
		strbuf_truncate(&said, said.len - 1);
	const char *line = strrchr(said.data, '\n');
	if (rc == 0 && code != 0)
		rc = error_set(err, ERR_DATA, "the source's configuration does not work here: %s", said.data);
	else if (rc == 0)
		*libraries = filter_libraries(line ? line + 1 : said.data);
	strbuf_release(&said);
	free(conf);
	free(data);
	free(program);
	return rc;
}

int clone_config_write(const struct clone_source *source, const struct clone *clone, struct error *err)
{
	static const char hba[] = "# Written by rehearse. The socket's folder is private.\n"
				  "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
	char *log = mem_printf("%s/log", clone->folder), *data = mem_printf("%s/data", clone->folder);
	char *libraries = NULL;
	int rc = 0;
	if (mkdir(log, 0700) != 0 || chmod(data, 0700) != 0)
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot set it up", clone->folder);
	if (rc == 0)
		rc = own_file(source, log, err);
	if (rc == 0)
		rc = move_auto_conf(source, clone, err);
	if (rc == 0)
		rc = clone_config_save(source, clone, "hba.conf", hba, sizeof(hba) - 1, err);
	if (rc == 0)
		rc = clone_config_save(source, clone, "ident.conf", "", 0, err);
	if (rc == 0)
		rc = write_conf(source, clone, NULL, err);
	if (rc == 0)
		rc = read_libraries(source, clone, &libraries, err);
	if (rc == 0 && libraries)
		rc = write_conf(source, clone, libraries, err);
	free(libraries);
	free(log);
	free(data);
	return rc;
}

int clone_config_copy(const struct clone_source *source, const struct clone *from, const struct clone *clone,
		      struct error *err)
{
	char *path = mem_printf("%s/source.auto.conf", from->folder);
	FILE *file = fopen(path, "re");
	int rc = 0;
	if (file) {
		char *text = mem_alloc(CONF_MAX);
		size_t len = fread(text, 1, CONF_MAX, file);
		(void)fclose(file);
		rc = len == CONF_MAX ? error_set(err, ERR_DATA, "the source's configuration is too long")
				     : clone_config_save(source, clone, "source.auto.conf", text, len, err);
		free(text);
	}
	free(path);
	return rc ? rc : clone_config_write(source, clone, err);
}
