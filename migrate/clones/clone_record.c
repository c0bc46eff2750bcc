/* Records of clones on disk: see clone_record.h. */
#include "clone_record.h"

#include "clock.h"
#include "mem.h"
#include "strbuf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA	   "rehearse.clone/1"
#define RECORD_MAX ((size_t)64 * 1024)
#define URL_MAX	   ((size_t)8 * 1024)
/* Numbers in a record that make no sense beyond this: ten years. */
#define TTL_MAX_S 315360000.0

static const char *const state_names[] = {"making", "up", "kept"};

void clone_record_release(struct clone_record *record)
{
	free(record->name);
	free(record->set);
	free(record->lane);
	free(record->id);
	free(record->provider);
	free(record->folder);
	free(record->url);
	free(record->destroy);
	free(record->source);
	clone_owner_release(&record->owner);
	memset(record, 0, sizeof(*record));
}

bool clone_name_is_good(const char *name)
{
	size_t len = name ? strlen(name) : 0;
	bool good = len > 0 && len <= CLONE_NAME_MAX && isalnum((unsigned char)name[0]);
	for (size_t i = 0; good && i < len; i++)
		good = isalnum((unsigned char)name[i]) || name[i] == '-' || name[i] == '_';
	return good;
}

char *clone_record_new_id(void)
{
	unsigned char bytes[CLONE_ID_LENGTH / 2];
	char id[CLONE_ID_LENGTH + 1];
	if (getentropy(bytes, sizeof(bytes)) != 0)
		abort(); /* the kernel always has some */
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(id + 2 * i, 3, "%02x", bytes[i]);
	return mem_strdup(id);
}

char *clone_record_marker(const struct clone_record *record)
{
	return mem_printf(".rehearse-%s-%s", record->name, record->id);
}

int64_t clone_record_expiry_wall_ns(const struct clone_record *record)
{
	return record->created_wall_ns + record->time_to_live_ns;
}

const char *clone_record_state_name(enum clone_record_state state)
{
	return state_names[state];
}

/* Of scheme://user:PASSWORD@…: where the password's ':' is and the '@' behind it; false when there is none. */
static bool find_password(const char *url, const char **colon, const char **sign)
{
	const char *start = strstr(url, "://");
	*colon = NULL;
	*sign = NULL;
	/* A password may hold an unescaped '/' or '@': what counts is the last '@' before the parameters. */
	for (const char *p = start ? start + 3 : ""; *p && *p != '?'; p++)
		*sign = *p == '@' ? p : *sign;
	if (*sign)
		*colon = memchr(start + 3, ':', (size_t)(*sign - start - 3));
	return *colon != NULL;
}

/* Both ways of writing one: "//user:PASSWORD@" and "?password=PASSWORD". */
char *clone_url_without_password(const char *url)
{
	const char *colon, *sign;
	struct strbuf out;
	if (!url)
		return NULL;
	strbuf_init(&out, URL_MAX);
	bool found = find_password(url, &colon, &sign);
	for (const char *at = url; *at; at++) {
		bool parameter = at > url && strchr("?& ", at[-1]);
		if (found && at == colon)
			at = sign;
		else if (parameter &&
			 (strncasecmp(at, "password=", 9) == 0 || strncasecmp(at, "sslpassword=", 12) == 0))
			at += strcspn(at, "& ");
		if (!*at)
			break;
		strbuf_add_char(&out, *at);
	}
	return strbuf_detach(&out);
}

static int put(json_t *object, const char *name, json_t *value)
{
	return value ? json_object_set_new(object, name, value) : -1;
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *time_of(int64_t wall_ns)
{
	char text[RFC3339_MAX];
	clock_format_rfc3339(wall_ns, text);
	return json_string(text);
}

/* "created" is for people, "created_ns" for us. */
static json_t *to_json(const struct clone_record *r)
{
	json_t *o = json_object();
	char *owner = mem_printf("%s@%s", r->owner.user, r->owner.host);
	int bad = put(o, "schema", json_string(SCHEMA)) | put(o, "name", json_string(r->name)) |
		  put(o, "set", json_string(r->set)) | put(o, "lane", json_string(r->lane)) |
		  put(o, "id", json_string(r->id)) | put(o, "provider", json_string(r->provider)) |
		  put(o, "state", json_string(state_names[r->state])) | put(o, "owner", json_string(owner)) |
		  put(o, "user", json_string(r->owner.user)) | put(o, "host", json_string(r->owner.host)) |
		  put(o, "boot_id", json_string(r->owner.boot_id)) | put(o, "pid", json_integer(r->owner.pid)) |
		  put(o, "pid_started", json_integer((json_int_t)r->owner.pid_started)) |
		  put(o, "uid", json_integer((json_int_t)r->uid)) |
		  put(o, "run_uid", json_integer((json_int_t)r->run_uid)) | put(o, "folder", text_or_null(r->folder)) |
		  put(o, "url", text_or_null(r->url)) | put(o, "created", time_of(r->created_wall_ns)) |
		  put(o, "created_ns", json_integer(r->created_wall_ns)) |
		  put(o, "time_to_live_s", json_real(ns_to_s(r->time_to_live_ns))) |
		  put(o, "expires", time_of(clone_record_expiry_wall_ns(r))) |
		  put(o, "size_bytes", json_integer(r->size_bytes));
	if (r->point_in_time_wall_ns)
		bad |= put(o, "point_in_time", time_of(r->point_in_time_wall_ns)) |
		       put(o, "point_in_time_ns", json_integer(r->point_in_time_wall_ns));
	if (r->destroy)
		bad |= put(o, "destroy", json_string(r->destroy)) | put(o, "source", text_or_null(r->source)) |
		       put(o, "timeout_s", json_real(ns_to_s(r->timeout_ns)));
	free(owner);
	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

/* A draft in the same folder; its name says whose it is, so that one that a crash left can be told (clone_list.c). */
static int write_draft(const char *state_folder, const struct clone_record *record, char **draft, struct error *err)
{
	json_t *object = to_json(record);
	char *text = object ? json_dumps(object, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) : NULL;
	json_decref(object);
	if (!text)
		return error_set(err, ERR_INTERNAL, "clone %s: its record cannot be written as JSON", record->name);
	*draft = mem_printf("%s/.%s.%ld.draft", state_folder, record->name, (long)getpid());
	int fd = open(*draft, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t len = strlen(text);
	bool good = fd >= 0 && write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
	int rc = good ? 0 : error_set_errno(err, ERR_INTERNAL, "%s: cannot write the clone's record", *draft);
	if (fd >= 0)
		(void)close(fd);
	free(text);
	if (rc) {
		(void)unlink(*draft);
		free(*draft);
		*draft = NULL;
	}
	return rc;
}

/* A name in a folder outlives a power loss once the folder is synced. */
static void sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	(void)close(fd);
}

int clone_record_create(const char *state_folder, const struct clone_record *record, struct error *err)
{
	char *draft = NULL, *path = mem_printf("%s/%s.json", state_folder, record->name);
	int rc = write_draft(state_folder, record, &draft, err);
	/* link() refuses a name that is taken, and what it links is whole. */
	if (rc == 0 && link(draft, path) != 0)
		rc = errno == EEXIST
			     ? error_set(err, ERR_USAGE,
					 "a clone named %s is there already (%s); another run has that name, or "
					 "one that crashed left it: rehearse cleanup",
					 record->name, path)
			     : error_set_errno(err, ERR_INTERNAL, "%s", path);
	if (draft)
		(void)unlink(draft);
	if (rc == 0)
		sync_folder(state_folder);
	free(draft);
	free(path);
	return rc;
}

int clone_record_update(const char *state_folder, const struct clone_record *record, struct error *err)
{
	char *draft = NULL, *path = mem_printf("%s/%s.json", state_folder, record->name);
	int rc = write_draft(state_folder, record, &draft, err);
	if (rc == 0 && rename(draft, path) != 0) {
		rc = error_set_errno(err, ERR_INTERNAL, "%s", path);
		(void)unlink(draft);
	}
	free(draft);
	free(path);
	return rc;
}

void clone_record_unlink(const char *state_folder, const struct clone_record *record)
{
	char *path = mem_printf("%s/%s.json", state_folder, record->name);
	(void)unlink(path);
	free(path);
}

static char *string_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? mem_strdup(text) : NULL;
}

static bool is_number_below(const json_t *object, const char *name, double limit)
{
	const json_t *value = json_object_get(object, name);
	double number = json_number_value(value);
	return json_is_number(value) && number >= 0 && number <= limit;
}

static bool is_good_id(const char *id)
{
	return id && strlen(id) == CLONE_ID_LENGTH && strspn(id, "0123456789abcdef") == CLONE_ID_LENGTH;
}

/* Absolute, nothing in it that leads up, and its own name is the clone's. */
static bool is_good_folder(const struct clone_record *r)
{
	const char *folder = r->folder;
	if (!folder || folder[0] != '/' || strlen(folder) >= PATH_MAX || strstr(folder, "/../") ||
	    strstr(folder, "/./") || strstr(folder, "//"))
		return false;
	const char *slash = strrchr(folder, '/');
	char *expected = mem_printf("rehearse-%s", r->name);
	bool good = slash > folder && strcmp(slash + 1, expected) == 0;
	free(expected);
	return good;
}

static const char *what_is_wrong(const struct clone_record *r, const json_t *object, const char *file)
{
	const char *schema = json_string_value(json_object_get(object, "schema"));
	const char *state = json_string_value(json_object_get(object, "state"));
	if (!schema || strcmp(schema, SCHEMA) != 0)
		return "is no record of a clone";
	if (!clone_name_is_good(r->set) || !clone_name_is_good(r->lane) || !r->name)
		return "has no good name";
	char *name = mem_printf("%s-%s", r->set, r->lane), *own_file = mem_printf("%s.json", r->name);
	bool same = strcmp(name, r->name) == 0 && strcmp(own_file, file) == 0;
	free(name);
	free(own_file);
	if (!same)
		return "has another clone's name in it";
	if (!is_good_id(r->id) || !r->owner.host || !r->owner.user || !r->owner.boot_id || !state)
		return "does not say whose it is";
	if (!is_number_below(object, "pid", INT_MAX) || !is_number_below(object, "uid", UINT32_MAX) ||
	    !is_number_below(object, "run_uid", UINT32_MAX) || !is_number_below(object, "pid_started", 9e15) ||
	    !is_number_below(object, "created_ns", 9.2e18) || !is_number_below(object, "time_to_live_s", TTL_MAX_S))
		return "has a number that cannot be";
	bool command = r->provider && strcmp(r->provider, "command") == 0;
	if (command ? !r->destroy || !is_number_below(object, "timeout_s", TTL_MAX_S) : !is_good_folder(r))
		return "names nothing that a clone can be in";
	if (!r->provider || (!command && strcmp(r->provider, "local") != 0 && strcmp(r->provider, "scratch") != 0))
		return "has a provider that is not known";
	return NULL;
}

static void from_json(const json_t *o, struct clone_record *r)
{
	const char *state = json_string_value(json_object_get(o, "state"));
	r->name = string_at(o, "name");
	r->set = string_at(o, "set");
	r->lane = string_at(o, "lane");
	r->id = string_at(o, "id");
	r->provider = string_at(o, "provider");
	r->owner.user = string_at(o, "user");
	r->owner.host = string_at(o, "host");
	r->owner.boot_id = string_at(o, "boot_id");
	r->owner.pid = (pid_t)json_integer_value(json_object_get(o, "pid"));
	r->owner.pid_started = (uint64_t)json_integer_value(json_object_get(o, "pid_started"));
	r->uid = (uid_t)json_integer_value(json_object_get(o, "uid"));
	r->run_uid = (uid_t)json_integer_value(json_object_get(o, "run_uid"));
	r->folder = string_at(o, "folder");
	r->url = string_at(o, "url");
	r->created_wall_ns = json_integer_value(json_object_get(o, "created_ns"));
	double ttl_s = json_number_value(json_object_get(o, "time_to_live_s"));
	double timeout_s = json_number_value(json_object_get(o, "timeout_s"));
	r->time_to_live_ns = ttl_s >= 0 && ttl_s <= TTL_MAX_S ? (int64_t)(ttl_s * 1e9) : 0;
	r->timeout_ns = timeout_s >= 0 && timeout_s <= TTL_MAX_S ? (int64_t)(timeout_s * 1e9) : 0;
	const json_t *size = json_object_get(o, "size_bytes");
	r->size_bytes = json_is_integer(size) ? json_integer_value(size) : -1;
	r->point_in_time_wall_ns = json_integer_value(json_object_get(o, "point_in_time_ns"));
	r->destroy = string_at(o, "destroy");
	r->source = string_at(o, "source");
	r->state = CLONE_MAKING;
	for (int i = CLONE_MAKING; state && i <= CLONE_KEPT; i++)
		r->state = strcmp(state, state_names[i]) == 0 ? (enum clone_record_state)i : r->state;
}

int clone_record_load(const char *state_folder, const char *file, struct clone_record *out, struct error *err)
{
	char *path = mem_printf("%s/%s", state_folder, file);
	struct stat info;
	json_t *object = NULL;
	json_error_t why = {0};
	int rc = 0;
	memset(out, 0, sizeof(*out));
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info) != 0)
		rc = error_set_errno(err, ERR_DATA, "%s: cannot open", path);
	else if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || (size_t)info.st_size > RECORD_MAX)
		rc = error_set(err, ERR_DATA, "%s: is no record of ours", path);
	if (rc == 0) {
		object = json_loadfd(fd, JSON_REJECT_DUPLICATES, &why);
		if (!object)
			rc = error_set(err, ERR_DATA, "%s:%d: %s", path, why.line, why.text);
	}
	if (rc == 0) {
		from_json(object, out);
		const char *wrong = what_is_wrong(out, object, file);
		if (wrong)
			rc = error_set(err, ERR_DATA, "%s: %s", path, wrong);
	}
	if (fd >= 0)
		(void)close(fd);
	if (rc)
		clone_record_release(out);
	json_decref(object);
	free(path);
	return rc;
}
