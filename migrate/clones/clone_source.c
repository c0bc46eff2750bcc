/* What a local clone is made from: see clone_source.h. */
#include "clone_source.h"

#include "clock.h"
#include "logging.h"
#include "mem.h"
#include "pg_target.h"
#include "process.h"
#include "stop_flag.h"
#include "strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTINGS_MAX ((size_t)256 * 1024)
#define OUTPUT_MAX   ((size_t)64 * 1024)

#define CROWDED_NS	 (300 * NS_PER_S)
#define CROWDED_RETRY_NS (1 * NS_PER_S)

void clone_source_init(struct clone_source *source)
{
	memset(source, 0, sizeof(*source));
	source->uid = (uid_t)-1;
	source->gid = (gid_t)-1;
}

void clone_source_release(struct clone_source *source)
{
	PQfinish(source->conn);
	free(source->folder);
	free(source->bindir);
	free(source->superuser);
	free(source->database);
	free(source->conf);
	free(source->settings);
	free(source->user);
	clone_source_init(source);
}

char *clone_source_program(const struct clone_source *source, const char *name)
{
	return mem_printf("%s/%s", source->bindir, name);
}

static int find_programs(struct clone_source *source, const struct clone_request *request, struct error *err)
{
	source->bindir = request->pg_bindir ? mem_strdup(request->pg_bindir)
					    : mem_printf("/usr/lib/postgresql/%d/bin", source->version);
	char *postgres = clone_source_program(source, "postgres");
	int rc = 0;
	if (source->version < PG_TARGET_VERSION_MIN || source->version > PG_TARGET_VERSION_MAX)
		rc = error_set(err, ERR_DATA, "%s was made by PostgreSQL %d; versions %d to %d are supported",
			       source->running ? "the source" : source->folder, source->version, PG_TARGET_VERSION_MIN,
			       PG_TARGET_VERSION_MAX);
	else if (access(postgres, X_OK) != 0)
		rc = error_set(err, ERR_DATA, "%s was made by PostgreSQL %d; no PostgreSQL %d server found in %s",
			       source->running ? "the source" : source->folder, source->version, source->version,
			       source->bindir);
	free(postgres);
	return rc;
}

/* --pg-bindir may lead to another version, which would refuse the files with less clear words. */
static int check_programs(const struct clone_source *source, struct error *err)
{
	char *program = clone_source_program(source, "postgres");
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){program, "--version", NULL};
	struct strbuf said;
	strbuf_init(&said, 200);
	int code = 1;
	int rc = process_run(&options, NULL, &said, &code, err);
	const char *number = rc == 0 ? strstr(said.data, "(PostgreSQL) ") : NULL;
	if (rc == 0 && (code != 0 || !number || strtol(number + 13, NULL, 10) != source->version))
		rc = error_set(err, ERR_DATA,
			       "the source was made by PostgreSQL %d; no PostgreSQL %d server found in %s",
			       source->version, source->version, source->bindir);
	strbuf_release(&said);
	free(program);
	return rc;
}

/* When root calls: the option, else the data's owner, else postgres. */
static int choose_user(struct clone_source *source, const struct clone_request *request, struct error *err)
{
	struct stat info;
	const struct passwd *user = NULL;
	if (geteuid() != 0) {
		user = getpwuid(geteuid());
		source->user = mem_strdup(user ? user->pw_name : "");
		return 0;
	}
	if (request->run_as)
		user = getpwnam(request->run_as);
	else if (!source->running && stat(source->folder, &info) == 0 && info.st_uid != 0)
		user = getpwuid(info.st_uid);
	else
		user = getpwnam("postgres");
	if (!user)
		return error_set(err, ERR_USAGE,
				 "no user %s here to run the clones' servers as; give one with --run-as",
				 request->run_as ? request->run_as : "postgres");
	if (user->pw_uid == 0)
		return error_set(err, ERR_USAGE, "PostgreSQL does not run as root; give another user with --run-as");
	source->uid = user->pw_uid;
	source->gid = user->pw_gid;
	source->user = mem_strdup(user->pw_name);
	return 0;
}

/* A postmaster.pid with a living server. One that a crash left behind is no obstacle: the copy recovers. */
static int check_stopped(const struct clone_source *source, struct error *err)
{
	char *path = mem_printf("%s/postmaster.pid", source->folder);
	FILE *file = fopen(path, "re");
	free(path);
	char line[32] = "", comm_path[64], comm[32] = "";
	if (!file)
		return 0;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	(void)fclose(file);
	long pid = strtol(line, NULL, 10);
	if (pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno != EPERM))
		return 0;
	(void)snprintf(comm_path, sizeof(comm_path), "/proc/%ld/comm", pid);
	FILE *comm_file = fopen(comm_path, "re");
	bool other = comm_file && fgets(comm, sizeof(comm), comm_file) && strncmp(comm, "post", 4) != 0;
	if (comm_file)
		(void)fclose(comm_file);
	if (other)
		return 0; /* the number went to another program since */
	return error_set(err, ERR_DATA, "%s is in use by PID %ld; stop that server, or give its URL as the source",
			 source->folder, pid);
}

/* FOLDER/NAME.tar, or with the ending of one of the compressions that tar sees through; NULL for none. To be freed. */
static char *find_packed(const char *folder, const char *name)
{
	static const char *const endings[] = {"", ".gz", ".zst", ".xz", ".bz2"};
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		char *path = mem_printf("%s/%s.tar%s", folder, name, endings[i]);
		if (access(path, F_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

/* Runs tar in `directory`; ERR_DATA with its last word when it fails. */
static int run_tar(const char *const *argv, const char *directory, const volatile bool *cancelled,
		   struct strbuf *results, struct error *err)
{
	struct process_options options = PROCESS_OPTIONS_INIT;
	struct strbuf said;
	int code = 0;
	strbuf_init(&said, OUTPUT_MAX);
	options.argv = argv;
	options.environment = (const char *const[]){"LC_ALL=C", "TAR_OPTIONS=", NULL};
	options.directory = directory;
	options.own_group = true;
	options.results = results;
	int rc = process_run(&options, cancelled, &said, &code, err);
	if (rc == 0 && code != 0)
		rc = error_set(err, strstr(said.data, "No space left") ? ERR_INTERNAL : ERR_DATA,
			       "unpacking the base backup: %.300s", said.len ? said.data : "tar failed");
	strbuf_release(&said);
	return rc;
}

static int read_packed_version(struct clone_source *source, const char *tar, struct error *err)
{
	struct strbuf said;
	strbuf_init(&said, OUTPUT_MAX);
	const char *const argv[] = {"tar", "-xOf", tar, "--occurrence=1", "PG_VERSION", NULL};
	int rc = run_tar(argv, NULL, NULL, &said, err);
	source->packed = true;
	source->version = rc == 0 ? (int)strtol(said.data, NULL, 10) : 0;
	if (rc == 0 && source->version <= 0)
		rc = error_set(err, ERR_DATA, "%s is no base backup (no PG_VERSION in it)", tar);
	strbuf_release(&said);
	return rc;
}

/* base.tar, and the WAL of the backup's own time. Tablespaces would be files of their own, named by number. */
static int unpack(const struct clone_source *source, const struct clone_request *request, const char *data,
		  struct error *err)
{
	static const char *const names[] = {"base", "pg_wal"};
	char *folder = mem_strndup(data, (size_t)(strrchr(data, '/') - data));
	int rc = mkdir(data, 0700) == 0 ? 0 : error_set_errno(err, ERR_INTERNAL, "%s: cannot make the folder", data);
	for (size_t i = 0; i < 2 && rc == 0; i++) {
		char *tar = find_packed(source->folder, names[i]);
		char *to = mem_printf("%s%s", data, i ? "/pg_wal" : "");
		const char *const argv[] = {"tar", "-xf", tar, "-C", to, "--no-same-owner", NULL};
		if (tar)
			rc = run_tar(argv, folder, request->cancelled, NULL, err);
		free(to);
		free(tar);
	}
	char *map = mem_printf("%s/tablespace_map", data); /* always there, and empty where there are none */
	struct stat info;
	if (rc == 0 && stat(map, &info) == 0 && info.st_size > 0)
		rc = error_set(err, ERR_DATA, "the base backup in %s has tablespaces of its own, which are not cloned",
			       source->folder);
	free(map);
	free(folder);
	return rc;
}

static int read_version(struct clone_source *source, struct error *err)
{
	char line[32] = "";
	char *path = mem_printf("%s/PG_VERSION", source->folder);
	FILE *file = fopen(path, "re");
	free(path);
	if (file && fgets(line, sizeof(line), file))
		source->version = (int)strtol(line, NULL, 10);
	if (file)
		(void)fclose(file);
	if (source->version > 0)
		return 0;
	char *tar = find_packed(source->folder, "base");
	if (tar) {
		int rc = read_packed_version(source, tar, err);
		free(tar);
		return rc;
	}
	return error_set(err, ERR_DATA, "%s is no PostgreSQL data directory (no PG_VERSION in it)", source->folder);
}

/* Debian keeps the configuration of .../N/CLUSTER in /etc/postgresql/N/CLUSTER. */
static void find_conf(struct clone_source *source)
{
	char *inside = mem_printf("%s/postgresql.conf", source->folder);
	bool is_inside = access(inside, F_OK) == 0;
	free(inside);
	const char *cluster = strrchr(source->folder, '/');
	if (is_inside || !cluster)
		return;
	source->conf = mem_printf("/etc/postgresql/%d%s/postgresql.conf", source->version, cluster);
	if (access(source->conf, R_OK) == 0)
		return;
	log_warn("%s has no postgresql.conf, nor is it in /etc/postgresql: the clones run with the server's defaults",
		 source->folder);
	free(source->conf);
	source->conf = NULL;
}

static int open_folder(struct clone_source *source, const struct clone_request *request, struct error *err)
{
	char real[PATH_MAX];
	struct stat info;
	if (!realpath(request->source, real) || stat(real, &info) != 0)
		return error_set_errno(err, ERR_DATA, "%s: no such data directory", request->source);
	if (!S_ISDIR(info.st_mode))
		return error_set(err, ERR_DATA, "%s is neither a data directory nor a libpq URI", request->source);
	source->folder = mem_strdup(real);
	source->settings = mem_strdup("");
	int rc = read_version(source, err);
	if (rc == 0 && !source->packed)
		rc = check_stopped(source, err);
	if (rc == 0 && !source->packed)
		find_conf(source);
	return rc;
}

/* A setting as a line of postgresql.conf. */
static void add_setting(struct strbuf *out, const char *name, const char *value)
{
	strbuf_addf(out, "%s = '", name);
	for (const char *p = value; *p; p++) {
		if (*p == '\'' || *p == '\\')
			strbuf_add_char(out, *p);
		if (*p != '\n')
			strbuf_add_char(out, *p);
	}
	strbuf_add_str(out, "'\n");
}

/*
 * Settings that a copy of the data directory would not bring along: those of the command line, and those of a
 * postgresql.conf that lies outside of it.
 */
static int read_settings(struct clone_source *source, struct error *err)
{
	PGresult *result = NULL;
	int rc = pg_conn_query(source->conn,
			       "SELECT name, current_setting(name) FROM pg_catalog.pg_settings"
			       " WHERE source IN ('configuration file', 'command line') AND context <> 'internal'"
			       " ORDER BY name",
			       "reading its settings", &result, err);
	if (rc)
		return rc;
	struct strbuf lines;
	strbuf_init(&lines, SETTINGS_MAX);
	for (int i = 0; i < PQntuples(result); i++)
		add_setting(&lines, PQgetvalue(result, i, 0), PQgetvalue(result, i, 1));
	PQclear(result);
	source->settings = strbuf_detach(&lines);
	return 0;
}

static int open_server(struct clone_source *source, const struct clone_request *request, struct error *err)
{
	char *tablespaces = NULL;
	source->running = true;
	int rc = pg_conn_open(request->source, PG_CONN_APPLICATION, &source->conn, err);
	if (rc)
		return error_context(err, "source");
	source->version = PQserverVersion(source->conn) / 10000;
	rc = pg_conn_value(source->conn,
			   "SELECT string_agg(spcname, ', ') FROM pg_catalog.pg_tablespace WHERE spcname NOT IN"
			   " ('pg_default', 'pg_global')",
			   "reading its tablespaces", &tablespaces, err);
	if (rc == 0 && tablespaces)
		rc = error_set(err, ERR_DATA, "the source has tablespaces of its own (%s), which are not cloned",
			       tablespaces);
	free(tablespaces);
	if (rc == 0)
		rc = pg_conn_value(source->conn, "SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10",
				   "asking for its superuser", &source->superuser, err);
	if (rc == 0)
		rc = read_settings(source, err);
	source->database = mem_strdup(PQdb(source->conn));
	return rc;
}

int clone_source_open(struct clone_source *source, const struct clone_request *request, struct error *err)
{
	int rc = pg_conn_is_conninfo(request->source) ? open_server(source, request, err)
						      : open_folder(source, request, err);
	if (rc == 0)
		rc = choose_user(source, request, err);
	if (rc == 0)
		rc = find_programs(source, request, err);
	if (rc == 0)
		rc = check_programs(source, err);
	if (rc == 0 && request->database) {
		free(source->database);
		source->database = mem_strdup(request->database);
	}
	return rc;
}

/* The connection's parameters as a conninfo string, without what is secret. */
static char *public_conninfo(PGconn *conn)
{
	static const char *const left_out[] = {"password",	 "sslpassword", "dbname",
					       "replication",	 "options",	"fallback_application_name",
					       "client_encoding"};
	struct strbuf out;
	strbuf_init(&out, OUTPUT_MAX);
	PQconninfoOption *options = PQconninfo(conn);
	for (const PQconninfoOption *one = options; one && one->keyword; one++) {
		bool skip = !one->val || !*one->val;
		for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
			skip = skip || strcmp(one->keyword, left_out[i]) == 0;
		if (skip)
			continue;
		strbuf_addf(&out, "%s='", one->keyword);
		for (const char *p = one->val; *p; p++) {
			if (*p == '\'' || *p == '\\')
				strbuf_add_char(&out, '\\');
			strbuf_add_char(&out, *p);
		}
		strbuf_add_str(&out, "' ");
	}
	PQconninfoFree(options);
	return strbuf_detach(&out);
}

/* pg_basebackup's first error (later ones follow from it), without its name in front; else the last line. */
static const char *the_reason(struct strbuf *text)
{
	static const char word[] = "error: ";
	while (text->len > 0 && text->data[text->len - 1] == '\n')
		strbuf_truncate(text, text->len - 1);
	const char *found = strstr(text->data, word);
	const char *line = strrchr(text->data, '\n');
	if (!found)
		return line ? line + 1 : text->data;
	found += sizeof(word) - 1;
	text->data[(size_t)(found - text->data) + strcspn(found, "\n")] = '\0';
	return found;
}

static int base_backup_once(const struct clone_source *source, const struct clone_request *request, const char *data,
			    struct strbuf *said, int *code, struct error *err)
{
	char *program = clone_source_program(source, "pg_basebackup");
	char *conninfo = public_conninfo(source->conn);
	const char *password = PQpass(source->conn);
	char *secret = password && *password ? mem_printf("PGPASSWORD=%s", password) : NULL;
	char *folder = mem_strndup(data, (size_t)(strrchr(data, '/') - data));
	struct process_options options = PROCESS_OPTIONS_INIT;
	/* As ourselves, not as the clones' user: our .pgpass and certificates are what reached the source. */
	options.argv = (const char *const[]){program,  "-D", data,   "-d",	  conninfo,	   "-X",
					     "stream", "-c", "fast", "--no-sync", "--no-password", NULL};
	options.environment = (const char *const[]){"LC_ALL=C", secret, NULL};
	options.directory = folder;
	options.own_group = true;
	int rc = process_run(&options, request->cancelled, said, code, err);
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
	free(folder);
	free(conninfo);
	free(program);
	return rc;
}

/*
 * Several runs at once may need more of the source's replication connections and slots than it has: they take turns.
 * And the checkpoint that begins one backup can remove the WAL of another, in the moment before that one's slot keeps
 * it.
 */
static bool is_crowded(const char *said)
{
	return strstr(said, "max_wal_senders") || strstr(said, "all replication slots are in use") ||
	       (strstr(said, "requested WAL segment") && strstr(said, "has already been removed"));
}

static int base_backup(const struct clone_source *source, const struct clone_request *request, const char *data,
		       struct error *err)
{
	struct strbuf said;
	int code = 0, rc;
	strbuf_init(&said, OUTPUT_MAX);
	for (int64_t deadline_ns = clock_mono_ns() + CROWDED_NS;;) {
		strbuf_clear(&said);
		rc = base_backup_once(source, request, data, &said, &code, err);
		if (rc || code == 0 || !is_crowded(said.data) || clock_mono_ns() > deadline_ns ||
		    stop_flag_is_set(request->cancelled))
			break;
		log_debug("another backup is in the way at the source; trying again");
		clock_sleep_until_ns(clock_mono_ns() + CROWDED_RETRY_NS);
	}
	if (rc == 0 && code != 0)
		rc = error_set(err, ERR_UNAVAILABLE, "the base backup of the source failed: %.600s", the_reason(&said));
	strbuf_release(&said);
	return rc;
}

/* pg_basebackup leaves the same things out (PostgreSQL manual, 54.4 BASE_BACKUP), but for the server's own log. */
static enum folder_copy_choice choose_entry(const char *relative)
{
	static const char *const skipped[] = {"postmaster.pid", "postmaster.opts", "current_logfiles", "log",
					      "pg_log",		"standby.signal",  "recovery.signal"};
	static const char *const emptied[] = {"pg_replslot",  "pg_dynshmem", "pg_notify",  "pg_serial",
					      "pg_snapshots", "pg_stat_tmp", "pg_subtrans"};
	for (size_t i = 0; i < sizeof(skipped) / sizeof(*skipped); i++) {
		if (strcmp(relative, skipped[i]) == 0)
			return FOLDER_SKIP;
	}
	for (size_t i = 0; i < sizeof(emptied) / sizeof(*emptied); i++) {
		if (strcmp(relative, emptied[i]) == 0)
			return FOLDER_COPY_EMPTY;
	}
	const char *name = strrchr(relative, '/');
	if (strncmp(name ? name + 1 : relative, "pgsql_tmp", 9) == 0)
		return FOLDER_SKIP;
	return FOLDER_COPY;
}

static int copy_tree(const struct clone_source *source, const struct clone_request *request, const char *from,
		     const char *to, struct folder_copy_stats *stats, struct error *err)
{
	struct folder_copy_options options = {.uid = source->uid,
					      .gid = source->gid,
					      .choose = choose_entry,
					      .follow = "pg_wal",
					      .cancelled = request->cancelled};
	return folder_copy(from, to, &options, stats, err);
}

int clone_source_copy(struct clone_source *source, const struct clone_request *request, const char *data,
		      struct folder_copy_stats *stats, struct error *err)
{
	if (!source->running && !source->packed) {
		int rc = copy_tree(source, request, source->folder, data, stats, err);
		/* Started while it was copied? Then the copy is of no use. */
		return rc ? rc : check_stopped(source, err);
	}
	memset(stats, 0, sizeof(*stats));
	stats->bytes = -1;
	int rc = source->packed ? unpack(source, request, data, err) : base_backup(source, request, data, err);
	if (rc == 0 && source->uid != (uid_t)-1)
		rc = folder_give(data, source->uid, source->gid, err);
	return rc;
}

int clone_source_copy_again(struct clone_source *source, const struct clone_request *request, const char *from,
			    const char *data, struct folder_copy_stats *stats, struct error *err)
{
	return copy_tree(source, request, from, data, stats, err);
}
