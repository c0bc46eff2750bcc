/*
 * The servers that a run is aimed at: see pg_target.h.
 *
 * The guard knows a clone by the setting rehearse.clone (clones of our own have it in their configuration, for every
 * database), or by a table rehearse_clone in the database. Whether a target is the log's own server is asked three
 * ways: the address we connect to, the address at which the server says it was reached (a tunnel hides the first), and
 * whether both are this machine.
 */
#include "pg_target.h"

#include "logging.h"
#include "mem.h"
#include "pg_conn.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <strings.h>
#include <sys/socket.h>

#define ADDRESSES_MAX 64

void pg_target_release(struct pg_target *target)
{
	free(target->host);
	free(target->port);
	free(target->database);
	free(target->user);
	free(target->server_version);
	free(target->identity);
	free(target->marker);
	free(target->server_address);
	free(target->server_port);
	memset(target, 0, sizeof(*target));
}

static char *copy_or_null(const PGresult *result, int column)
{
	if (PQgetisnull(result, 0, column) || !*PQgetvalue(result, 0, column))
		return NULL;
	return mem_strdup(PQgetvalue(result, 0, column));
}

static int check_version(PGconn *conn, int number, struct error *err)
{
	int major = number / 10000;
	if (major >= PG_TARGET_VERSION_MIN && major <= PG_TARGET_VERSION_MAX)
		return 0;
	char *place = pg_conn_place(conn);
	int rc = error_set(err, ERR_DATA, "%s: is PostgreSQL %d; versions %d to %d are supported", place, major,
			   PG_TARGET_VERSION_MIN, PG_TARGET_VERSION_MAX);
	free(place);
	return rc;
}

static int ask_target(PGconn *conn, struct pg_target *out, struct error *err)
{
	static const char sql[] =
		"SELECT current_setting('server_version'), current_database(), current_user,"
		" (SELECT system_identifier FROM pg_catalog.pg_control_system()) || '/' ||"
		" extract(epoch FROM pg_catalog.pg_postmaster_start_time()),"
		" current_setting('" PG_TARGET_MARKER_GUC "', true),"
		" EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = '" PG_TARGET_MARKER_TABLE "'"
		" AND relkind IN ('r', 'p', 'v') AND relpersistence <> 't'),"
		" pg_catalog.host(pg_catalog.inet_server_addr()), pg_catalog.inet_server_port()";
	PGresult *result = NULL;
	int rc = pg_conn_query(conn, sql, "asking what it is", &result, err);
	if (rc)
		return rc;
	out->server_version = copy_or_null(result, 0);
	out->database = copy_or_null(result, 1);
	out->user = copy_or_null(result, 2);
	out->identity = copy_or_null(result, 3);
	out->marker = copy_or_null(result, 4);
	out->marked = out->marker || PQgetvalue(result, 0, 5)[0] == 't';
	out->server_address = copy_or_null(result, 6);
	out->server_port = copy_or_null(result, 7);
	PQclear(result);
	return 0;
}

int pg_target_probe(const char *url, struct pg_target *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	PGconn *conn = NULL;
	int rc = pg_conn_open(url, PG_CONN_APPLICATION, &conn, err);
	if (rc)
		return rc;
	const char *host = PQhost(conn), *port = PQport(conn);
	out->host = mem_strdup(host && *host ? host : "localhost");
	out->port = mem_strdup(port && *port ? port : "5432");
	out->server_version_num = PQserverVersion(conn);
	rc = check_version(conn, out->server_version_num, err);
	if (rc == 0)
		rc = ask_target(conn, out, err);
	PQfinish(conn);
	if (rc)
		pg_target_release(out);
	return rc;
}

/* An address without its port: the family and up to 16 bytes. */
struct address {
	int family; /* 0: none */
	unsigned char bytes[16];
};

struct address_list {
	struct address items[ADDRESSES_MAX];
	size_t count;
	bool local; /* one of them is this machine's, or it is a socket's folder */
};

static struct address address_of(const struct sockaddr *from)
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	struct address to = {0};
	if (from->sa_family == AF_INET) {
		to.family = AF_INET;
		memcpy(to.bytes, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	} else if (from->sa_family == AF_INET6) {
		const unsigned char *six = ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr.s6_addr;
		bool is_four = memcmp(six, mapped, sizeof(mapped)) == 0;
		to.family = is_four ? AF_INET : AF_INET6;
		memcpy(to.bytes, is_four ? six + 12 : six, is_four ? 4 : 16);
	}
	return to;
}

static bool same_address(const struct address *a, const struct address *b)
{
	return a->family && a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static bool is_loopback(const struct address *address)
{
	static const unsigned char one[16] = {[15] = 1};
	if (address->family == AF_INET)
		return address->bytes[0] == 127 || memcmp(address->bytes, one, 4) == 0; /* 0.0.0.0 connects to us */
	return address->family == AF_INET6 && memcmp(address->bytes, one, 16) == 0;
}

static bool is_ours(const struct address *address)
{
	if (is_loopback(address))
		return true;
	struct ifaddrs *list = NULL;
	if (getifaddrs(&list) != 0)
		return false;
	bool found = false;
	for (const struct ifaddrs *one = list; one && !found; one = one->ifa_next) {
		struct address interface_address = one->ifa_addr ? address_of(one->ifa_addr) : (struct address){0};
		found = same_address(&interface_address, address);
	}
	freeifaddrs(list);
	return found;
}

/* False when the name does not resolve. */
static bool resolve(const char *host, struct address_list *out)
{
	memset(out, 0, sizeof(*out));
	if (host[0] == '/' || host[0] == '@' || strcmp(host, "[local]") == 0) {
		out->local = true;
		return true;
	}
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	if (getaddrinfo(host, NULL, &hints, &list) != 0)
		return false;
	for (const struct addrinfo *one = list; one && out->count < ADDRESSES_MAX; one = one->ai_next) {
		out->items[out->count] = address_of(one->ai_addr);
		out->local = out->local || is_ours(&out->items[out->count]);
		out->count++;
	}
	freeaddrinfo(list);
	return true;
}

static bool lists_meet(const struct address_list *a, const struct address_list *b)
{
	if (a->local && b->local)
		return true;
	for (size_t i = 0; i < a->count; i++) {
		for (size_t j = 0; j < b->count; j++) {
			if (same_address(&a->items[i], &b->items[j]))
				return true;
		}
	}
	return false;
}

/*
 * The server's own word on where it was reached, for tunnels and forwarded ports. Its loopback says nothing about which
 * machine that is, so only other addresses count.
 */
static bool server_says_source(const struct pg_target *target, const struct address_list *source,
			       const char *source_port)
{
	struct address_list said;
	if (!target->server_address || !target->server_port || strcmp(target->server_port, source_port) != 0 ||
	    !resolve(target->server_address, &said) || said.count == 0 || is_loopback(&said.items[0]))
		return false;
	return lists_meet(&said, source);
}

static bool is_source(const struct pg_target *target, const struct pg_target_guard *guard)
{
	if (!guard->source_host || !*guard->source_host)
		return false;
	char port[16];
	(void)snprintf(port, sizeof(port), "%d", guard->source_port ? guard->source_port : 5432);
	struct address_list source, aimed;
	if (!resolve(guard->source_host, &source)) {
		/* Unknown to the resolver here: then only its name can be compared. */
		log_warn("the log's host %s does not resolve; comparing its name only", guard->source_host);
		return strcasecmp(guard->source_host, target->host) == 0 && strcmp(port, target->port) == 0;
	}
	if (server_says_source(target, &source, port))
		return true;
	if (strcmp(port, target->port) != 0)
		return false;
	if (!resolve(target->host, &aimed))
		return strcasecmp(guard->source_host, target->host) == 0;
	return lists_meet(&source, &aimed);
}

int pg_target_guard(const struct pg_target *target, const struct pg_target_guard *guard, struct error *err)
{
	if (is_source(target, guard))
		return error_set(
			err, ERR_USAGE,
			"%s:%s is the server that the log came from; aim at a clone of it, on another host or port",
			target->host, target->port);
	if (target->marked || guard->known_clone)
		return 0;
	return error_set(
		err, ERR_USAGE,
		"%s:%s/%s is not known to be a clone, and the replay writes to it: CREATE TABLE rehearse_clone () "
		"in it, or give --i-know-this-is-a-clone",
		target->host, target->port, target->database ? target->database : "");
}

int pg_target_distinct(const struct pg_target *baseline, const struct pg_target *migrating, struct error *err)
{
	if (!baseline->identity || !migrating->identity || strcmp(baseline->identity, migrating->identity) != 0 ||
	    !baseline->database || !migrating->database || strcmp(baseline->database, migrating->database) != 0)
		return 0;
	return error_set(err, ERR_USAGE,
			 "baseline (%s:%s) and migrating (%s:%s) are the same database %s of the same server; "
			 "each lane needs a clone of its own",
			 baseline->host, baseline->port, migrating->host, migrating->port, baseline->database);
}

/* Settings that differ between any two clones, and say nothing about how the server behaves. */
static const char settings_sql[] =
	"SELECT name, setting FROM pg_catalog.pg_settings WHERE name NOT IN ('application_name', 'client_encoding',"
	" 'cluster_name', 'config_file', 'connect_timeout', 'data_directory', 'external_pid_file', 'hba_file', "
	"'ident_file',"
	" 'listen_addresses', 'log_directory', 'port', 'unix_socket_directories', 'transaction_read_only',"
	" 'transaction_isolation', 'transaction_deferrable', 'in_hot_standby',"
	/* and those that may hold a password */
	" 'primary_conninfo', 'archive_command', 'archive_cleanup_command', 'restore_command', 'recovery_end_command',"
	" 'ssl_passphrase_command') ORDER BY name COLLATE \"C\"";

static int read_settings(const char *url, PGresult **out, char **version, struct error *err)
{
	PGconn *conn = NULL;
	int rc = pg_conn_open(url, PG_CONN_APPLICATION, &conn, err);
	if (rc)
		return rc;
	rc = check_version(conn, PQserverVersion(conn), err);
	if (rc == 0)
		rc = pg_conn_value(conn, "SHOW server_version", "reading its version", version, err);
	if (rc == 0)
		rc = pg_conn_query(conn, settings_sql, "reading its settings", out, err);
	PQfinish(conn);
	return rc;
}

static json_t *setting_value(const PGresult *result, int row)
{
	if (row < 0 || PQgetisnull(result, row, 1))
		return json_null();
	json_t *text = json_string(PQgetvalue(result, row, 1));
	return text ? text : json_null();
}

static void add_difference(json_t *list, const char *name, json_t *baseline, json_t *migrating)
{
	if (json_equal(baseline, migrating)) {
		json_decref(baseline);
		json_decref(migrating);
		return;
	}
	json_t *one = json_object();
	(void)json_object_set_new(one, "name", json_string(name));
	(void)json_object_set_new(one, "baseline", baseline);
	(void)json_object_set_new(one, "migrating", migrating);
	(void)json_array_append_new(list, one);
}

/* Both results are sorted by name: a merge. */
static json_t *compare_settings(const PGresult *a, const PGresult *b)
{
	json_t *list = json_array();
	int i = 0, j = 0, na = PQntuples(a), nb = PQntuples(b);
	while (i < na || j < nb) {
		int order = i == na ? 1 : j == nb ? -1 : strcmp(PQgetvalue(a, i, 0), PQgetvalue(b, j, 0));
		const char *name = order <= 0 ? PQgetvalue(a, i, 0) : PQgetvalue(b, j, 0);
		add_difference(list, name, setting_value(a, order <= 0 ? i : -1),
			       setting_value(b, order >= 0 ? j : -1));
		i += order <= 0;
		j += order >= 0;
	}
	return list;
}

int pg_target_settings(const char *baseline_url, const char *migrating_url, json_t **out, struct error *err)
{
	PGresult *a = NULL, *b = NULL;
	char *version_a = NULL, *version_b = NULL;
	int rc = read_settings(baseline_url, &a, &version_a, err);
	if (rc == 0 && migrating_url)
		rc = read_settings(migrating_url, &b, &version_b, err);
	if (rc == 0) {
		json_t *root = json_object();
		(void)json_object_set_new(root, "baseline", json_pack("{s:s?}", "server_version", version_a));
		if (migrating_url)
			(void)json_object_set_new(root, "migrating", json_pack("{s:s?}", "server_version", version_b));
		(void)json_object_set_new(root, "differences", b ? compare_settings(a, b) : json_array());
		*out = root;
	}
	PQclear(a);
	PQclear(b);
	free(version_a);
	free(version_b);
	return rc;
}
