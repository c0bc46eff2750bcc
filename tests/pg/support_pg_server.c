/* A PostgreSQL server of a test's own: see support_pg_server.h. */
#include "support_pg_server.h"

#include "clock.h"
#include "error.h"
#include "mem.h"
#include "process.h"
#include "strbuf.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVERS_MAX 16
#define START_TRIES 5

static struct pg_server *running[SERVERS_MAX];

const char *pg_server_bindir(void)
{
	static char bindir[256];
	if (bindir[0])
		return bindir;
	long best = 0;
	DIR *dir = opendir("/usr/lib/postgresql");
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char path[256];
		long version = strtol(entry->d_name, NULL, 10);
		(void)snprintf(path, sizeof(path), "/usr/lib/postgresql/%.20s/bin", entry->d_name);
		char initdb[280];
		(void)snprintf(initdb, sizeof(initdb), "%s/initdb", path);
		if (version > best && access(initdb, X_OK) == 0) {
			best = version;
			(void)snprintf(bindir, sizeof(bindir), "%s", path);
		}
	}
	if (dir)
		(void)closedir(dir);
	if (bindir[0])
		return bindir;
	struct strbuf said;
	strbuf_init(&said, sizeof(bindir) - 1);
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){"pg_config", "--bindir", NULL};
	struct error err = ERROR_INIT;
	int code = 1;
	if (process_run(&options, NULL, &said, &code, &err) == 0 && code == 0)
		(void)snprintf(bindir, sizeof(bindir), "%.*s", (int)strcspn(said.data, "\n"), said.data);
	strbuf_release(&said);
	if (!bindir[0])
		(void)fprintf(stderr, "pg_server: no PostgreSQL server found in /usr/lib/postgresql\n");
	return bindir[0] ? bindir : NULL;
}

uid_t pg_server_uid(void)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
	return user ? user->pw_uid : geteuid();
}

gid_t pg_server_gid(void)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
	return user ? user->pw_gid : getegid();
}

int pg_server_free_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int port = -1;
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&address, &len) == 0)
		port = ntohs(address.sin_port);
	if (fd >= 0)
		(void)close(fd);
	return port;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

static void stop_all(void)
{
	for (size_t i = 0; i < SERVERS_MAX; i++) {
		if (running[i])
			pg_server_stop(running[i]);
	}
}

static void stop_on_signal(int number)
{
	stop_all(); /* not async-signal-safe, and good enough for a test that is being ended */
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static int register_server(struct pg_server *server)
{
	static bool installed;
	if (!installed) {
		installed = true;
		(void)atexit(stop_all);
		const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGABRT};
		for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
			(void)signal(numbers[i], stop_on_signal);
	}
	for (size_t i = 0; i < SERVERS_MAX; i++) {
		if (!running[i]) {
			running[i] = server;
			return 0;
		}
	}
	(void)fprintf(stderr, "pg_server: more than %d servers\n", SERVERS_MAX);
	return -1;
}

static int run_initdb(const struct pg_server *server)
{
	char program[300];
	(void)snprintf(program, sizeof(program), "%s/initdb", pg_server_bindir());
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){program,
					     "-D",
					     server->data,
					     "-U",
					     "postgres",
					     "-A",
					     "trust",
					     "--no-sync",
					     "--encoding=UTF8",
					     "--locale=C.UTF-8",
					     NULL};
	options.uid = pg_server_uid();
	options.gid = pg_server_gid();
	options.directory = server->folder;
	struct strbuf said;
	strbuf_init(&said, 65536);
	struct error err = ERROR_INIT;
	int code = 1;
	int rc = process_run(&options, NULL, &said, &code, &err);
	if (rc || code)
		(void)fprintf(stderr, "pg_server: initdb: %s%s\n", err.text, said.data);
	strbuf_release(&said);
	return rc || code ? -1 : 0;
}

static int write_conf(const struct pg_server *server, const char *extra)
{
	char path[400];
	(void)snprintf(path, sizeof(path), "%s/postgresql.conf", server->data);
	FILE *file = fopen(path, "a");
	if (!file)
		return -1;
	(void)fprintf(file,
		      "\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\nfsync = off\n"
		      "synchronous_commit = off\nfull_page_writes = off\nmax_connections = 100\nshared_buffers = 32MB\n"
		      "%s\n",
		      server->folder, extra ? extra : "");
	return fclose(file);
}

static pid_t spawn(const struct pg_server *server)
{
	char program[300], port[16];
	(void)snprintf(program, sizeof(program), "%s/postgres", pg_server_bindir());
	(void)snprintf(port, sizeof(port), "%d", server->port);
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){program, "-D", server->data, "-p", port, NULL};
	options.uid = pg_server_uid();
	options.gid = pg_server_gid();
	options.directory = server->folder;
	options.own_group = true;
	options.stdout_fd = open(server->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	struct error err = ERROR_INIT;
	pid_t pid = 0;
	if (process_start(&options, &pid, &err) != 0) {
		(void)fprintf(stderr, "pg_server: %s\n", err.text);
		pid = -1;
	}
	if (options.stdout_fd >= 0)
		(void)close(options.stdout_fd);
	return pid;
}

/* 0 once it accepts connections, -1 when it has ended or does not within 30 s. */
static int wait_ready(struct pg_server *server)
{
	int64_t deadline_ns = clock_mono_ns() + 30 * NS_PER_S;
	while (clock_mono_ns() < deadline_ns) {
		if (PQping(server->url) == PQPING_OK)
			return 0;
		if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
			server->pid = 0;
			return -1;
		}
		clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
	}
	return -1;
}

static void show_log(const struct pg_server *server)
{
	char block[4096];
	FILE *file = fopen(server->log, "r");
	size_t got = 0;
	while (file && (got = fread(block, 1, sizeof(block), file)) > 0)
		(void)fwrite(block, 1, got, stderr);
	if (file)
		(void)fclose(file);
}

int pg_server_restart(struct pg_server *server)
{
	server->pid = spawn(server);
	if (server->pid > 0 && wait_ready(server) == 0)
		return 0;
	show_log(server);
	pg_server_halt(server);
	return -1;
}

int pg_server_start(struct pg_server *server, const char *extra_conf_lines)
{
	memset(server, 0, sizeof(*server));
	if (!pg_server_bindir() || register_server(server))
		return -1;
	const char *base = getenv("TMPDIR");
	(void)snprintf(server->folder, sizeof(server->folder), "%s/rehearse-test-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(server->folder) || chown(server->folder, pg_server_uid(), pg_server_gid()) != 0) {
		(void)fprintf(stderr, "pg_server: %s: %s\n", server->folder, strerror(errno));
		return -1;
	}
	server->used = true;
	(void)snprintf(server->data, sizeof(server->data), "%s/data", server->folder);
	(void)snprintf(server->log, sizeof(server->log), "%s/server.log", server->folder);
	if (run_initdb(server) || write_conf(server, extra_conf_lines))
		goto failed;
	for (int try = 0; try < START_TRIES; try++) { /* the port may be taken between asking and binding */
		server->port = pg_server_free_port();
		(void)snprintf(server->url, sizeof(server->url), "postgresql://postgres@127.0.0.1:%d/postgres",
			       server->port);
		server->pid = spawn(server);
		if (server->pid > 0 && wait_ready(server) == 0)
			return 0;
		pg_server_halt(server);
	}
	show_log(server);
failed:
	pg_server_stop(server);
	return -1;
}

void pg_server_halt(struct pg_server *server)
{
	if (server->pid <= 0)
		return;
	(void)kill(server->pid, SIGINT); /* fast shutdown */
	for (int i = 0; i < 1000; i++) {
		pid_t got = waitpid(server->pid, NULL, WNOHANG);
		if (got == server->pid || (got < 0 && errno == ECHILD)) {
			server->pid = 0;
			return;
		}
		if (i == 500)
			(void)kill(server->pid, SIGQUIT); /* immediate */
		clock_sleep_until_ns(clock_mono_ns() + 10 * NS_PER_MS);
	}
	(void)kill(server->pid, SIGKILL);
	(void)waitpid(server->pid, NULL, 0);
	server->pid = 0;
}

void pg_server_stop(struct pg_server *server)
{
	pg_server_halt(server);
	if (server->used)
		(void)nftw(server->folder, remove_entry, 32, FTW_DEPTH | FTW_PHYS);
	server->used = false;
	for (size_t i = 0; i < SERVERS_MAX; i++) {
		if (running[i] == server)
			running[i] = NULL;
	}
}

PGconn *pg_server_connect(const struct pg_server *server, const char *database)
{
	char conninfo[512];
	(void)snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d user=postgres dbname=%s", server->port,
		       database ? database : "postgres");
	PGconn *conn = PQconnectdb(conninfo);
	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	(void)fprintf(stderr, "pg_server: %s", PQerrorMessage(conn));
	PQfinish(conn);
	return NULL;
}

int pg_server_sql(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(result);
	PQclear(result);
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY)
		return 0;
	(void)fprintf(stderr, "pg_server: %.200s: %s", sql, PQerrorMessage(conn));
	return -1;
}

char *pg_server_value(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);
	char *value = NULL;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		(void)fprintf(stderr, "pg_server: %.200s: %s", sql, PQerrorMessage(conn));
	else if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
		value = mem_strdup(PQgetvalue(result, 0, 0));
	PQclear(result);
	return value;
}

long long pg_server_number(PGconn *conn, const char *sql)
{
	char *value = pg_server_value(conn, sql);
	long long number = value ? strtoll(value, NULL, 10) : -1;
	free(value);
	return number;
}

int pg_server_run(const struct pg_server *server, const char *sql)
{
	PGconn *conn = pg_server_connect(server, NULL);
	int rc = conn ? pg_server_sql(conn, sql) : -1;
	PQfinish(conn);
	return rc;
}

long long pg_server_ask(const struct pg_server *server, const char *sql)
{
	PGconn *conn = pg_server_connect(server, NULL);
	long long number = conn ? pg_server_number(conn, sql) : -1;
	PQfinish(conn);
	return number;
}
