/* The demo's source server: see demo_server.h. */
#include "demo_server.h"

#include "clock.h"
#include "mem.h"
#include "num.h"
#include "output.h"

#include <dirent.h>
#include <ftw.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	START_SECONDS = 30,
	ARGUMENTS_MAX = 63
};

/* What the server gets on its command line rather than in its configuration, which the clones inherit. */
static const char *const fixed_settings[] = {
	"listen_addresses=",	"fsync=off",
	"max_wal_size=8GB",	"maintenance_work_mem=128MB",
	"logging_collector=on", "log_destination=csvlog",
	"log_filename=shop",	"log_file_mode=0600",
	"log_rotation_age=0",	"log_rotation_size=0",
	"lc_messages=C",	NULL,
};

/* Text, parameters and duration of a statement in one record, and every session's beginning and end. */
static const char *const capture_settings[] = {
	"ALTER SYSTEM SET log_min_duration_statement = 0",
	"ALTER SYSTEM SET log_connections = on",
	"ALTER SYSTEM SET log_disconnections = on",
	"ALTER SYSTEM SET log_parameter_max_length = -1",
	"ALTER SYSTEM SET log_parameter_max_length_on_error = -1",
	"SELECT pg_reload_conf()",
	NULL,
};

/* The newest version that has a server and a base backup tool. */
static char *find_bindir(void)
{
	static const char base[] = "/usr/lib/postgresql";
	int64_t best = 0;
	DIR *dir = opendir(base);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		struct error ignored = ERROR_INIT;
		int64_t version;
		if (num_parse_int(entry->d_name, 1, 99, &version, &ignored) < 0 || version <= best)
			continue;
		char *program = mem_printf("%s/%lld/bin/initdb", base, (long long)version);
		if (access(program, X_OK) == 0)
			best = version;
		free(program);
	}
	if (dir)
		(void)closedir(dir);
	return best > 0 ? mem_printf("%s/%lld/bin", base, (long long)best) : NULL;
}

char *demo_server_program(const struct demo_server *server, const char *name)
{
	return mem_printf("%s/%s", server->bindir, name);
}

static int make_folder(struct demo_server *server, struct error *err)
{
	const char *base = getenv("TMPDIR");
	server->folder = mem_printf("%s/rehearse-demo-XXXXXX", base && *base == '/' ? base : "/var/tmp");
	if (!mkdtemp(server->folder)) {
		int rc = error_set_errno(err, ERR_INTERNAL, "cannot make a folder %s", server->folder);
		free(server->folder);
		server->folder = NULL;
		return rc;
	}
	server->data = mem_printf("%s/data", server->folder);
	server->backup = mem_printf("%s/backup", server->folder);
	server->log = mem_printf("%s/log/shop.csv", server->folder);
	if (server->uid != (uid_t)-1 && chown(server->folder, server->uid, server->gid) != 0)
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot give it to user %u", server->folder,
				       (unsigned)server->uid);
	return 0;
}

/* initdb and postgres refuse to run as root. */
static int choose_user(struct demo_server *server, struct error *err)
{
	server->uid = (uid_t)-1;
	server->gid = (gid_t)-1;
	if (geteuid() != 0)
		return 0;
	const struct passwd *user = getpwnam("postgres");
	if (!user)
		return error_set(err, ERR_UNAVAILABLE,
				 "PostgreSQL does not run as root, and there is no user postgres");
	server->uid = user->pw_uid;
	server->gid = user->pw_gid;
	return 0;
}

/* Runs one of PostgreSQL's programs to its end, as the server's user. */
static int run_program(struct demo_server *server, const char *const *argv, bool stoppable, struct error *err)
{
	char *program = demo_server_program(server, argv[0]);
	const char *words[ARGUMENTS_MAX + 1] = {program};
	for (size_t i = 1; argv[i]; i++)
		words[i] = argv[i];
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = words;
	options.uid = server->uid;
	options.gid = server->gid;
	options.directory = server->folder;
	options.own_group = true;
	struct strbuf output;
	strbuf_init(&output, 65536);
	int code = 0;
	int rc = process_run(&options, stoppable ? server->cancelled : NULL, &output, &code, err);
	if (rc == 0 && code != 0)
		rc = error_set(err, ERR_INTERNAL, "%s: exit code %d: %s", argv[0], code, demo_last_line(&output));
	strbuf_release(&output);
	free(program);
	return rc;
}

static int launch(struct demo_server *server, struct error *err)
{
	size_t n = 0;
	server->settings[0] = demo_server_program(server, "postgres");
	server->settings[1] = mem_printf("unix_socket_directories=%s", server->folder);
	server->settings[2] = mem_printf("log_directory=%s/log", server->folder);
	server->arguments[n++] = server->settings[0];
	server->arguments[n++] = "-D";
	server->arguments[n++] = server->data;
	for (size_t i = 1; i <= 2; i++) {
		server->arguments[n++] = "-c";
		server->arguments[n++] = server->settings[i];
	}
	for (size_t i = 0; fixed_settings[i]; i++) {
		server->arguments[n++] = "-c";
		server->arguments[n++] = fixed_settings[i];
	}
	server->arguments[n] = NULL;
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = server->arguments;
	options.uid = server->uid;
	options.gid = server->gid;
	options.directory = server->folder;
	options.own_group = true;
	if (demo_job_start(&server->job, &options, err) < 0)
		return -err->code;
	server->running = true;
	return 0;
}

static int wait_ready(struct demo_server *server, struct error *err)
{
	const char *const names[] = {"host", "dbname", "user", NULL};
	const char *const values[] = {server->folder, "postgres", "postgres", NULL};
	int64_t deadline_ns = clock_mono_ns() + START_SECONDS * NS_PER_S;
	while (PQpingParams(names, values, 0) != PQPING_OK) {
		if (*server->cancelled)
			return error_set(err, ERR_INTERRUPTED, "interrupted");
		if (server->job.ended || clock_mono_ns() > deadline_ns) {
			struct error why = ERROR_INIT;
			demo_job_stop(&server->job);
			server->running = false;
			(void)demo_job_wait(&server->job, &why);
			return error_set(err, ERR_INTERNAL, "the source server did not start: %s", why.text);
		}
		clock_sleep_until_ns(clock_mono_ns() + 20 * NS_PER_MS);
	}
	return 0;
}

int demo_server_start(struct demo_server *server, const volatile bool *cancelled, struct error *err)
{
	memset(server, 0, sizeof(*server));
	server->cancelled = cancelled;
	server->bindir = find_bindir();
	if (!server->bindir)
		return error_set(err, ERR_UNAVAILABLE,
				 "no PostgreSQL in /usr/lib/postgresql; tools/demo.sh installs it");
	if (choose_user(server, err) < 0 || make_folder(server, err) < 0)
		return -err->code;
	const char *const initdb[] = {
		"initdb", "-D",	       server->data,	  "-U",		"postgres",	     "-A",
		"trust",  "--no-sync", "--encoding=UTF8", "--locale=C", "--no-instructions", NULL};
	if (run_program(server, initdb, true, err) < 0)
		return -err->code;
	if (launch(server, err) < 0)
		return -err->code;
	return wait_ready(server, err);
}

int demo_server_log_statements(struct demo_server *server, struct error *err)
{
	PGconn *conn = demo_server_connect(server, "postgres", "postgres", err);
	if (!conn)
		return -err->code;
	int rc = demo_server_run(server, conn, capture_settings, err);
	PQfinish(conn);
	return rc;
}

int demo_server_backup(struct demo_server *server, struct error *err)
{
	const char *const words[] = {"pg_basebackup",
				     "-h",
				     server->folder,
				     "-U",
				     "postgres",
				     "-D",
				     server->backup,
				     "--checkpoint=fast",
				     "--wal-method=stream",
				     "--no-sync",
				     "--no-manifest",
				     NULL};
	return run_program(server, words, true, err);
}

int demo_server_stop(struct demo_server *server, struct error *err)
{
	if (!server->running)
		return 0;
	const char *const words[] = {"pg_ctl", "stop", "-D", server->data, "-m", "fast", "-w", "-t", "20", NULL};
	int rc = run_program(server, words, false, err);
	if (rc < 0)
		demo_job_stop(&server->job);
	server->running = false;
	struct error end = ERROR_INIT;
	if (demo_job_wait(&server->job, &end) < 0 && rc == 0) {
		*err = end;
		rc = -end.code;
	}
	return rc;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

static void remove_folder(const char *folder)
{
	(void)nftw(folder, remove_entry, 32, FTW_DEPTH | FTW_PHYS);
}

void demo_server_keep(struct demo_server *server)
{
	server->keep = true;
	output_message("kept: %s (log), %s (base backup)", server->log, server->backup);
}

void demo_server_release(struct demo_server *server)
{
	struct error ignored = ERROR_INIT;
	(void)demo_server_stop(server, &ignored);
	if (server->folder)
		remove_folder(server->keep ? server->data : server->folder);
	for (size_t i = 0; i < sizeof(server->settings) / sizeof(*server->settings); i++)
		free(server->settings[i]);
	free(server->bindir);
	free(server->folder);
	free(server->data);
	free(server->backup);
	free(server->log);
	memset(server, 0, sizeof(*server));
}

PGconn *demo_server_connect(const struct demo_server *server, const char *database, const char *user, struct error *err)
{
	const char *const names[] = {"host", "dbname", "user", "application_name", NULL};
	const char *const values[] = {server->folder, database, user, "rehearse demo", NULL};
	PGconn *conn = PQconnectdbParams(names, values, 0);
	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	(void)error_set(err, ERR_INTERNAL, "source server: %s", PQerrorMessage(conn));
	PQfinish(conn);
	return NULL;
}

/* One statement; while it runs, an interrupt cancels it. */
static int run_statement(const struct demo_server *server, PGconn *conn, const char *sql, struct error *err)
{
	PGcancel *cancel = PQgetCancel(conn);
	char text[256];
	bool asked = false;
	int rc = 0;
	if (!PQsendQuery(conn, sql))
		rc = error_set(err, ERR_INTERNAL, "source server: %s", PQerrorMessage(conn));
	while (rc == 0 && PQconsumeInput(conn) && PQisBusy(conn)) {
		if (*server->cancelled && !asked)
			asked = PQcancel(cancel, text, sizeof(text)) == 1;
		clock_sleep_until_ns(clock_mono_ns() + 2 * NS_PER_MS);
	}
	for (PGresult *result; (result = PQgetResult(conn)); PQclear(result)) {
		ExecStatusType status = PQresultStatus(result);
		if (rc == 0 && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
			rc = error_set(err, ERR_INTERNAL, "source server: %.60s: %s", sql,
				       PQresultErrorMessage(result));
	}
	PQfreeCancel(cancel);
	if (*server->cancelled)
		rc = error_set(err, ERR_INTERRUPTED, "interrupted");
	return rc;
}

int demo_server_run(const struct demo_server *server, PGconn *conn, const char *const *statements, struct error *err)
{
	for (size_t i = 0; statements[i]; i++) {
		int rc = run_statement(server, conn, statements[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
