/*
 * How a tool gets in: encryption declined (it is this machine's loopback), the startup packet read, the password that
 * the proxy made up asked for. What is no tool, does not know it, or takes longer than ten seconds stays out.
 */
#ifndef PROXY_GREETING_H
#define PROXY_GREETING_H

#include "proxy_link.h"
#include "span.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum proxy_guest {
	PROXY_GUEST_TOOL,   /* let in: startup is set */
	PROXY_GUEST_CANCEL, /* wants a statement cancelled: pid and secret are set */
	PROXY_GUEST_NONE    /* gone, or sent away */
};

struct proxy_greeting {
	char startup[WIRE_STARTUP_MAX]; /* the packet's pairs of strings */
	size_t startup_len;
	uint32_t pid;
	uint32_t secret;
};

/* Waits for the tool; *stop ends that. */
enum proxy_guest proxy_greet(struct proxy_link *link, const char *password, const atomic_bool *stop,
			     struct proxy_greeting *out);
/* Sends what is to go, for at most a second: a last word before closing. */
void proxy_greeting_flush(struct proxy_link *link);

#endif
