/* A clone's own PostgreSQL server: see clone_server.h. */
#include "clone_server.h"

#include "clock.h"
#include "logging.h"
#include "mem.h"
#include "out_file.h"
#include "pg_target.h"
#include "process.h"
#include "stop_flag.h"
#include "strbuf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONF_MAX     ((size_t)1024 * 1024)
#define PORT_TRIES   10
#define NICER	     5 /* the harness goes before the servers that it measures */
#define FAST_NS	     (10 * NS_PER_S)
#define IMMEDIATE_NS (5 * NS_PER_S)
#define LOG_TAIL     ((size_t)4096)

static int own_file(const struct clone_source *source, const char *path, struct error *err)
{
	if (source->uid == (uid_t)-1 || chown(path, source->uid, source->gid) == 0)
		return 0;
	return error_set_errno(err, ERR_INTERNAL, "%s: cannot give it to %s", path, source->user);
}

int clone_server_save(const struct clone_source *source, const struct clone *clone, const char *name, const char *text,
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
			       : clone_server_save(source, clone, "server.conf", text.data, text.len, err);
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
		rc = clone_server_save(source, clone, "data/postgresql.auto.conf", "", 0, err);
	for (size_t i = 0; i < 2; i++) { /* a backup of a standby: the clone recovers and stands alone */
		char *path = mem_printf("%s/data/%s", clone->folder, signals[i]);
		(void)unlink(path);
		free(path);
	}
	free(from);
	free(to);
	return rc;
}

/* Options for a program of the server's, run as the clones' user in the clone's folder. */
static struct process_options as_user(const struct clone_source *source, const struct clone *clone,
				      const char *const *argv)
{
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = argv;
	options.uid = source->uid;
	options.gid = source->gid;
	options.directory = clone->folder;
	options.own_group = true;
	return options;
}

int clone_server_run(const struct clone_source *source, const struct clone *clone, const char *const *argv,
		     struct strbuf *said, int *code, struct error *err)
{
	struct process_options options = as_user(source, clone, argv);
	return process_run(&options, NULL, said, code, err);
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
	struct process_options options = as_user(source, clone, argv);
	struct strbuf said;
	strbuf_init(&said, LOG_TAIL);
	int code = 0;
	int rc = process_run(&options, NULL, &said, &code, err);
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

int clone_server_configure(const struct clone_source *source, const struct clone *clone, struct error *err)
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
		rc = clone_server_save(source, clone, "hba.conf", hba, sizeof(hba) - 1, err);
	if (rc == 0)
		rc = clone_server_save(source, clone, "ident.conf", "", 0, err);
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

int clone_server_copy_configuration(const struct clone_source *source, const struct clone *from,
				    const struct clone *clone, struct error *err)
{
	char *path = mem_printf("%s/source.auto.conf", from->folder);
	FILE *file = fopen(path, "re");
	int rc = 0;
	if (file) {
		char *text = mem_alloc(CONF_MAX);
		size_t len = fread(text, 1, CONF_MAX, file);
		(void)fclose(file);
		rc = len == CONF_MAX ? error_set(err, ERR_DATA, "the source's configuration is too long")
				     : clone_server_save(source, clone, "source.auto.conf", text, len, err);
		free(text);
	}
	free(path);
	return rc ? rc : clone_server_configure(source, clone, err);
}

static int free_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int port = 0;
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&address, &len) == 0)
		port = ntohs(address.sin_port);
	if (fd >= 0)
		(void)close(fd);
	return port;
}

/* config: the file in the clone's folder; settings: NULL-terminated "-c", "name=value", … for the command line. */
static int start(const struct clone_source *source, struct clone *clone, const char *config,
		 const char *const *settings, struct error *err)
{
	const char *argv[64];
	size_t count = 0;
	clone->port = free_port();
	if (clone->port == 0)
		return error_set_errno(err, ERR_INTERNAL, "no free port on 127.0.0.1");
	char *program = clone_source_program(source, "postgres");
	char *data = mem_printf("%s/data", clone->folder),
	     *conf = mem_printf("config_file=%s/%s", clone->folder, config);
	char *port = mem_printf("port=%d", clone->port), *where = mem_printf("data_directory=%s/data", clone->folder);
	char *socket_folder = mem_printf("unix_socket_directories=%s", clone->folder);
	char *log = mem_printf("%s/start.log", clone->folder);
	const char *const first[] = {program, "-D", data, "-c", conf, "-c", where, "-c", port, "-c", socket_folder};
	for (; count < sizeof(first) / sizeof(*first); count++)
		argv[count] = first[count];
	for (size_t i = 0; settings[i] && count < sizeof(argv) / sizeof(*argv) - 1; i++)
		argv[count++] = settings[i];
	argv[count] = NULL;
	struct process_options options = as_user(source, clone, argv);
	options.nice = NICER;
	options.stdout_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = options.stdout_fd < 0 ? error_set_errno(err, ERR_INTERNAL, "%s: cannot open", log)
				       : process_start(&options, &clone->pid, err);
	if (options.stdout_fd >= 0)
		(void)close(options.stdout_fd);
	free(log);
	free(socket_folder);
	free(where);
	free(port);
	free(conf);
	free(data);
	free(program);
	return rc;
}

int clone_server_start(const struct clone_source *source, struct clone *clone, struct error *err)
{
	/* What must hold whatever a file or an ALTER SYSTEM says: the command line has the last word. */
	static const char *const settings[] = {"-c", "listen_addresses=127.0.0.1",
					       "-c", "archive_mode=off",
					       "-c", "restore_command=",
					       "-c", "primary_conninfo=",
					       "-c", "max_logical_replication_workers=0",
					       NULL};
	return start(source, clone, "server.conf", settings, err);
}

int clone_server_start_with(const struct clone_source *source, struct clone *clone, const char *name, struct error *err)
{
	static const char *const settings[] = {"-c", "listen_addresses=", "-c", "archive_mode=off",
					       "-c", "primary_conninfo=", NULL};
	return start(source, clone, name, settings, err);
}

static char *read_tail(const char *folder, const char *name)
{
	char *path = mem_printf("%s/%s", folder, name);
	char *text = mem_zalloc(1, LOG_TAIL + 1);
	FILE *file = fopen(path, "re");
	if (file) {
		if (fseek(file, -(long)LOG_TAIL, SEEK_END) != 0)
			rewind(file);
		size_t got = fread(text, 1, LOG_TAIL, file);
		text[got] = '\0';
		(void)fclose(file);
	}
	free(path);
	return text;
}

/* From the last "FATAL" or "PANIC" on; else the last 300 bytes. */
static const char *the_reason(const char *text)
{
	static const char *const words[] = {"PANIC", "FATAL"};
	for (size_t i = 0; i < 2; i++) {
		const char *found = NULL;
		for (const char *p = text; (p = strstr(p, words[i])); p++)
			found = p;
		if (found)
			return found;
	}
	size_t len = strlen(text);
	return len > 300 ? text + len - 300 : text;
}

int clone_server_explain_end(const struct clone *clone, struct error *err)
{
	char *early = read_tail(clone->folder, "start.log"), *late = read_tail(clone->folder, "log/server.csv");
	const char *reason =
		strstr(late, "FATAL") || strstr(late, "PANIC") || !*early ? the_reason(late) : the_reason(early);
	int rc = error_set(err, ERR_DATA, "the server of clone %s did not start: %.600s", clone->name, reason);
	free(early);
	free(late);
	return rc;
}

static bool port_was_taken(const struct clone *clone)
{
	char *early = read_tail(clone->folder, "start.log"), *late = read_tail(clone->folder, "log/server.csv");
	bool taken = strstr(early, "could not bind") || strstr(late, "could not bind") ||
		     strstr(early, "TCP/IP socket") || strstr(late, "TCP/IP socket");
	free(early);
	free(late);
	return taken;
}

char *clone_server_url(const struct clone *clone, const char *user, const char *database)
{
	struct strbuf url;
	strbuf_init(&url, CONF_MAX);
	const char *const parts[] = {"postgresql://", user, "@/", database, "?host=", clone->folder};
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		for (const char *p = parts[i]; *p; p++) {
			if (i % 2 == 0 || isalnum((unsigned char)*p) || strchr("-_.~", *p))
				strbuf_add_char(&url, *p);
			else
				strbuf_addf(&url, "%%%02X", (unsigned char)*p);
		}
	}
	strbuf_addf(&url, "&port=%d", clone->port);
	return strbuf_detach(&url);
}

int clone_server_await(const struct clone_source *source, struct clone *clone, const volatile bool *cancelled,
		       struct error *err)
{
	for (int try = 0;; try++) {
		char *url = clone_server_url(clone, "postgres", "template1");
		bool up = false, ended = false;
		while (!up && !ended && !stop_flag_is_set(cancelled)) {
			up = PQping(url) == PQPING_OK;
			ended = !up && waitpid(clone->pid, NULL, WNOHANG) != 0;
			if (!up && !ended)
				clock_sleep_until_ns(clock_mono_ns() + 30 * NS_PER_MS);
		}
		free(url);
		if (up)
			return 0;
		if (!ended)
			return error_set(err, ERR_INTERRUPTED, "starting clone %s: interrupted", clone->name);
		clone->pid = 0;
		if (try == PORT_TRIES || !port_was_taken(clone))
			return clone_server_explain_end(clone, err);
		char *log = mem_printf("%s/log/server.csv", clone->folder);
		(void)unlink(log);
		free(log);
		int rc = clone_server_start(source, clone, err);
		if (rc)
			return rc;
	}
}

/* The name of the superuser that initdb made, asked with the names that it usually has. */
static char *ask_superuser(const struct clone_source *source, const struct clone *clone)
{
	const struct passwd *self = getpwuid(geteuid());
	const char *const names[] = {"postgres", source->user, self ? self->pw_name : NULL, getenv("PGUSER")};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!names[i] || !*names[i])
			continue;
		struct error ignored = ERROR_INIT;
		char *url = clone_server_url(clone, names[i], "template1"), *found = NULL;
		PGconn *conn = NULL;
		if (pg_conn_open(url, PG_CONN_APPLICATION, &conn, &ignored) == 0)
			(void)pg_conn_value(conn, "SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10", "superuser",
					    &found, &ignored);
		PQfinish(conn);
		free(url);
		if (found)
			return found;
	}
	return NULL;
}

/* The server's single-user mode needs no name: it is the superuser. The server is stopped for it, and started again. */
static int ask_alone(const struct clone_source *source, struct clone *clone, char **superuser, struct error *err)
{
	static const char question[] = "SELECT rolname FROM pg_authid WHERE oid = 10\n";
	int ends[2];
	clone_server_stop(clone);
	if (pipe2(ends, O_CLOEXEC) != 0 || write(ends[1], question, sizeof(question) - 1) < 0)
		return error_set_errno(err, ERR_INTERNAL, "cannot make a pipe");
	(void)close(ends[1]);
	char *program = clone_source_program(source, "postgres");
	char *data = mem_printf("%s/data", clone->folder),
	     *conf = mem_printf("config_file=%s/server.conf", clone->folder);
	const char *const argv[] = {program,	 "--single",
				    "-D",	 data,
				    "-c",	 conf,
				    "-c",	 "logging_collector=off",
				    "-c",	 "log_destination=stderr",
				    "template1", NULL};
	struct process_options options = as_user(source, clone, argv);
	options.stdin_fd = ends[0];
	struct strbuf said;
	strbuf_init(&said, CONF_MAX);
	int code = 0;
	int rc = process_run(&options, NULL, &said, &code, err);
	(void)close(ends[0]);
	const char *answer = rc == 0 ? strstr(said.data, "rolname = \"") : NULL;
	if (answer)
		*superuser = mem_strndup(answer + 11, strcspn(answer + 11, "\""));
	else if (rc == 0)
		rc = error_set(err, ERR_DATA, "clone %s: its superuser's name could not be found out", clone->name);
	strbuf_release(&said);
	free(conf);
	free(data);
	free(program);
	if (rc == 0)
		rc = clone_server_start(source, clone, err);
	return rc ? rc : clone_server_await(source, clone, NULL, err);
}

/* The only database of users' there is, else postgres if there is one, else template1. */
static const char choose_database_sql[] =
	"SELECT CASE WHEN count(*) = 1 THEN min(datname::text) ELSE coalesce((SELECT datname::text FROM"
	" pg_catalog.pg_database WHERE datname = 'postgres'), 'template1') END FROM pg_catalog.pg_database"
	" WHERE NOT datistemplate AND datallowconn AND datname <> 'postgres'";

/* What a clone's configuration cannot keep from reaching out: statements that use another server. */
static void warn_of_foreign_servers(PGconn *conn)
{
	char *names = NULL;
	struct error ignored = ERROR_INIT;
	(void)pg_conn_value(conn,
			    "SELECT string_agg(n, ', ') FROM (SELECT 'foreign server ' || srvname AS n FROM"
			    " pg_catalog.pg_foreign_server UNION ALL SELECT 'extension ' || extname FROM"
			    " pg_catalog.pg_extension WHERE extname IN ('dblink', 'pg_net', 'http', 'aws_s3')) t",
			    "asking for foreign servers", &names, &ignored);
	if (names)
		log_warn("statements on the clones can reach other machines through %s", names);
	free(names);
}

int clone_server_finish(struct clone_source *source, struct clone *clone, struct error *err)
{
	int rc = 0;
	if (!source->superuser)
		source->superuser = ask_superuser(source, clone);
	if (!source->superuser)
		rc = ask_alone(source, clone, &source->superuser, err);
	if (rc)
		return rc;
	const char *database = source->database ? source->database : "template1";
	PGconn *conn = NULL;
	free(clone->url);
	clone->url = clone_server_url(clone, source->superuser, database);
	rc = pg_conn_open(clone->url, PG_CONN_APPLICATION, &conn, err);
	if (rc)
		return error_context(err, "clone %s", clone->name);
	if (!source->database)
		rc = pg_conn_value(conn, choose_database_sql, "choosing a database", &source->database, err);
	if (rc == 0)
		rc = pg_conn_run(conn, "CHECKPOINT", "checkpoint", err);
	if (rc == 0)
		warn_of_foreign_servers(conn);
	PQfinish(conn);
	clone_server_renew_url(source, clone);
	return rc;
}

void clone_server_renew_url(const struct clone_source *source, struct clone *clone)
{
	free(clone->url);
	clone->url = clone_server_url(clone, source->superuser, source->database ? source->database : "template1");
}

bool clone_server_has_ended(struct clone *clone, int64_t within_ns)
{
	int64_t deadline_ns = clock_mono_ns() + within_ns;
	for (;;) {
		pid_t got = waitpid(clone->pid, NULL, WNOHANG);
		if (got == clone->pid || (got < 0 && errno == ECHILD)) {
			clone->pid = 0;
			return true;
		}
		if (clock_mono_ns() >= deadline_ns)
			return false;
		clock_sleep_until_ns(clock_mono_ns() + 10 * NS_PER_MS);
	}
}

int clone_server_shut_down(struct clone *clone, const volatile bool *cancelled, struct error *err)
{
	if (clone->pid <= 0)
		return 0;
	(void)kill(clone->pid, SIGINT);
	while (!clone_server_has_ended(clone, 100 * NS_PER_MS)) {
		if (stop_flag_is_set(cancelled))
			return error_set(err, ERR_INTERRUPTED, "shutting down clone %s: interrupted", clone->name);
	}
	return 0;
}

void clone_server_stop(struct clone *clone)
{
	if (clone->pid <= 0)
		return;
	(void)kill(clone->pid, SIGINT);
	if (clone_server_has_ended(clone, FAST_NS))
		return;
	(void)kill(clone->pid, SIGQUIT);
	if (clone_server_has_ended(clone, IMMEDIATE_NS))
		return;
	(void)kill(clone->pid, SIGKILL);
	(void)clone_server_has_ended(clone, IMMEDIATE_NS);
	clone->pid = 0;
}
