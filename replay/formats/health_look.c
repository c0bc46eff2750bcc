/*
 * A look at the sessions as bytes: who was active, and what each waited for. There are up to ten a second, with as many
 * processes as are at work, so this is what a health log's size comes from: microseconds instead of nanoseconds, and
 * processes by pid, so that one takes two bytes (the pid's difference and the event's number) before all is deflated.
 *
 *   time asked less that of the look before (signed, us; in a chunk's first, the time), time until it was answered
 *   (us), number of processes, then for each: pid less the one before, event
 */
#include "health_look.h"

#define US_NS  1000
#define US_MAX (INT64_MAX / US_NS / 4) /* so that no sum of a few overflows */

void health_look_put(struct strbuf *out, const struct health_look *look, int64_t *clock_us)
{
	/* Outwards: the moment that is meant lies between the two. */
	int64_t asked_us = look->asked_ns / US_NS - (look->asked_ns % US_NS < 0);
	int64_t took_us = (look->answered_ns - asked_us * US_NS + US_NS - 1) / US_NS;
	int64_t pid = 0;
	byte_put_signed(out, asked_us - *clock_us);
	byte_put_varint(out, (uint64_t)(took_us > 0 ? took_us : 0));
	byte_put_varint(out, look->count);
	for (size_t i = 0; i < look->count; i++) {
		byte_put_varint(out, (uint64_t)(look->active[i].pid - pid));
		byte_put_varint(out, look->active[i].event);
		pid = look->active[i].pid;
	}
	*clock_us = asked_us;
}

bool health_look_get(struct byte_reader *r, size_t event_count, int64_t *clock_us, struct health_active *room,
		     struct health_look *look)
{
	int64_t step_us = byte_get_signed(r);
	uint64_t took_us = byte_get_varint(r);
	uint64_t count = byte_get_varint(r);
	uint64_t pid = 0;
	if (r->failed || step_us > US_MAX || step_us < -US_MAX || took_us > US_MAX || count > HEALTH_LOOK_MAX)
		return false;
	*clock_us += step_us; /* itself within the bounds: see below */
	if (*clock_us > US_MAX || *clock_us < -US_MAX)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t more = byte_get_varint(r);
		uint64_t event = byte_get_varint(r);
		if (r->failed || more > INT32_MAX - pid || event >= event_count)
			return false;
		pid += more;
		room[i] = (struct health_active){(int32_t)pid, (uint32_t)event};
	}
	look->asked_ns = *clock_us * US_NS;
	look->answered_ns = look->asked_ns + (int64_t)took_us * US_NS;
	look->count = (size_t)count;
	look->active = room;
	return true;
}
