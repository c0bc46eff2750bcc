/* A clone's own PostgreSQL server: see clone_server.h. */
#include "clone_server.h"

#include "clock.h"
#include "logging.h"
#include "mem.h"
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
#include <sys/wait.h>
#include <unistd.h>

#define CONF_MAX     ((size_t)1024 * 1024)
#define PORT_TRIES   10
#define NICER	     5 /* the harness goes before the servers that it measures */
#define FAST_NS	     (10 * NS_PER_S)
#define IMMEDIATE_NS (5 * NS_PER_S)
#define LOG_TAIL     ((size_t)4096)

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
