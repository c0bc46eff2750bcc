/* Clones shown to people and programs: see snapshot_view.h. */
#include "snapshot_view.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>

const char *snapshot_state(const struct clone_entry *entry)
{
	if (clone_life_is_over(entry->life) || entry->life == CLONE_ELSEWHERE || entry->life == CLONE_UNREADABLE)
		return clone_life_name(entry->life);
	if (entry->record.state == CLONE_MAKING)
		return "making";
	if (!entry->record.folder || strcmp(entry->record.provider, "local") != 0)
		return clone_life_name(entry->life);
	return entry->running ? "running" : "stopped";
}

const char *snapshot_size(int64_t bytes, char out[SNAPSHOT_WORDS_MAX])
{
	if (bytes < 0)
		(void)snprintf(out, SNAPSHOT_WORDS_MAX, "-");
	else if (bytes < 1000000000)
		(void)snprintf(out, SNAPSHOT_WORDS_MAX, "%.1f MB", (double)bytes / 1e6);
	else
		(void)snprintf(out, SNAPSHOT_WORDS_MAX, "%.1f GB", (double)bytes / 1e9);
	return out;
}

const char *snapshot_span(int64_t ns, char out[SNAPSHOT_WORDS_MAX])
{
	int64_t minutes = ns / NS_PER_S / 60;
	if (ns < 0)
		(void)snprintf(out, SNAPSHOT_WORDS_MAX, "over");
	else if (minutes < 1)
		(void)snprintf(out, SNAPSHOT_WORDS_MAX, "%lld s", (long long)(ns / NS_PER_S));
	else if (minutes < 60)
		(void)snprintf(out, SNAPSHOT_WORDS_MAX, "%lld min", (long long)minutes);
	else if (minutes < 48 * 60)
		(void)snprintf(out, SNAPSHOT_WORDS_MAX, "%lld h %lld min", (long long)(minutes / 60),
			       (long long)(minutes % 60));
	else
		(void)snprintf(out, SNAPSHOT_WORDS_MAX, "%lld days", (long long)(minutes / 60 / 24));
	return out;
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

json_t *snapshot_to_json(const struct clone_entry *entry, int64_t now_wall_ns)
{
	const struct clone_record *r = &entry->record;
	char created[RFC3339_MAX], expires[RFC3339_MAX];
	if (entry->life == CLONE_UNREADABLE)
		return json_pack("{s:s, s:s, s:s}", "record", entry->file, "state", "unreadable", "reason", entry->why);
	clock_format_rfc3339(r->created_wall_ns, created);
	clock_format_rfc3339(clone_record_expiry_wall_ns(r), expires);
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "name", r->name, "set", r->set, "lane",
			      r->lane, "provider", r->provider, "state", snapshot_state(entry), "life",
			      clone_life_name(entry->life), "user", r->owner.user, "host", r->owner.host, "pid",
			      (int)r->owner.pid);
	(void)json_object_set_new(o, "url", text_or_null(r->url));
	(void)json_object_set_new(o, "folder", text_or_null(r->folder));
	(void)json_object_set_new(o, "size_bytes", r->size_bytes < 0 ? json_null() : json_integer(r->size_bytes));
	(void)json_object_set_new(o, "created", json_string(created));
	(void)json_object_set_new(o, "expires", json_string(expires));
	(void)json_object_set_new(o, "age_s", json_real(ns_to_s(now_wall_ns - r->created_wall_ns)));
	(void)json_object_set_new(o, "expires_in_s", json_real(ns_to_s(clone_record_expiry_wall_ns(r) - now_wall_ns)));
	if (r->point_in_time_wall_ns) {
		char point[RFC3339_MAX];
		clock_format_rfc3339(r->point_in_time_wall_ns, point);
		(void)json_object_set_new(o, "point_in_time", json_string(point));
	}
	return o;
}
