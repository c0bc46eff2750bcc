/*
 * PostgreSQL's protocol 3 as bytes: messages cut from a stream that arrives in pieces, their fields read, messages
 * written. Nothing is known here of who says what when, only of what a message looks like.
 *
 * A stream comes from somebody else, so everything is bounded: lengths as the server itself bounds them, and only texts
 * (Query, Parse, errors) are held whole; what may be a gigabyte (rows, parameters, COPY) is handed out in pieces.
 *
 * Source: PostgreSQL manual, 55.7 Message Formats; limits as in the server's pqcomm.h.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_STARTUP_MAX 10000
#define WIRE_WHOLE_MAX	 ((size_t)64 * 1024)	    /* any message up to this is handed out whole */
#define WIRE_TEXT_MAX	 ((size_t)16 * 1024 * 1024) /* and these: Query, Parse */
#define WIRE_ERROR_MAX	 ((size_t)1024 * 1024)	    /* and ErrorResponse, NoticeResponse */
#define WIRE_HEAD	 ((size_t)8192)		    /* the first piece of a longer one */
#define WIRE_PROTOCOL_3	 196608
#define WIRE_SSL_REQUEST 80877103
#define WIRE_GSS_REQUEST 80877104
#define WIRE_CANCEL	 80877102

/* Bytes that are added behind and taken in front. */
struct wire_buffer {
	char *data;
	size_t start;
	size_t end;
	size_t capacity;
};

void wire_buffer_release(struct wire_buffer *buffer);
/* Empties it; memory is kept unless it has grown large. */
void wire_buffer_clear(struct wire_buffer *buffer);
/* Room for len more bytes, to be written by the caller and added with wire_buffer_advance(). */
char *wire_buffer_room(struct wire_buffer *buffer, size_t len);
void wire_buffer_advance(struct wire_buffer *buffer, size_t len);
void wire_buffer_take(struct wire_buffer *buffer, size_t len);
void wire_buffer_add(struct wire_buffer *buffer, const void *data, size_t len);

static inline size_t wire_buffer_len(const struct wire_buffer *buffer)
{
	return buffer->end - buffer->start;
}

/* The first of the bytes. */
static inline const char *wire_buffer_at(const struct wire_buffer *buffer)
{
	return buffer->data ? buffer->data + buffer->start : "";
}

enum wire_side {
	WIRE_FROM_TOOL,
	WIRE_FROM_SERVER
};

/* A message, or a piece of one. Pointers are good until the reader is used again. */
struct wire_message {
	char type;
	size_t body_len;  /* of the whole message, without type and length */
	const char *body; /* this piece of it */
	size_t len;
	const char *raw; /* the same with type and length in front, where it is the first piece */
	size_t raw_len;
	bool first;
	bool last;
};

struct wire_reader {
	enum wire_side side;
	struct wire_buffer bytes;
	size_t want;	 /* bytes that the next message needs */
	size_t body_len; /* of the message that is handed out in pieces */
	size_t left;	 /* of its body; 0: between messages */
	char type;
	const char *wrong; /* why the stream cannot be read on, else NULL */
};

void wire_reader_init(struct wire_reader *reader, enum wire_side side);
void wire_reader_release(struct wire_reader *reader);
/* Where the next bytes go, and in *len how many at most; never 0. */
char *wire_reader_room(struct wire_reader *reader, size_t *len);
void wire_reader_advance(struct wire_reader *reader, size_t len);
/* 1: a message or a piece of one; 0: more bytes are needed; -1: not this protocol, see reader->wrong. */
int wire_reader_next(struct wire_reader *reader, struct wire_message *out);
/* True when a whole message stands there; its type in *type. Nothing is taken. */
bool wire_reader_peek(const struct wire_reader *reader, char *type);
/* True when a Terminate stands among the whole messages that have come. */
bool wire_reader_holds_terminate(const struct wire_reader *reader);

/*
 * A startup packet (no type in front): 1 with its code and the body behind it, taken; 0 when more is needed; -1 for
 * what is none.
 */
int wire_reader_startup(struct wire_reader *reader, uint32_t *code, const char **body, size_t *len);

/* Reads a body. A read past its end gives 0 or "" and sets failed. */
struct wire_cursor {
	const char *p;
	const char *end;
	bool failed;
};

static inline struct wire_cursor wire_cursor_over(const char *body, size_t len)
{
	return (struct wire_cursor){body, body + len, false};
}

uint8_t wire_get_u8(struct wire_cursor *cursor);
uint16_t wire_get_u16(struct wire_cursor *cursor);
uint32_t wire_get_u32(struct wire_cursor *cursor);
const char *wire_get_string(struct wire_cursor *cursor);
const char *wire_get_bytes(struct wire_cursor *cursor, size_t len);

/* An ErrorResponse or NoticeResponse; what it does not say is "" or 0. */
struct wire_error {
	const char *severity; /* not translated, where the server (9.6 on) says so */
	const char *sqlstate;
	const char *message;
	const char *routine; /* of the server's source */
	int position;
};

void wire_read_error(const char *body, size_t len, struct wire_error *out);
/* The same error with `shift` added to its position, where it has one. */
void wire_put_error_shifted(struct wire_buffer *out, char type, const char *body, size_t len, int shift);
/* Rows of a CommandComplete's tag ("INSERT 0 5", "SELECT 12"), -1 when it says none. */
int64_t wire_tag_rows(const char *body, size_t len);

/* Messages: begin, put fields, end with what begin returned. */
size_t wire_begin(struct wire_buffer *out, char type);
void wire_end(struct wire_buffer *out, size_t mark);
void wire_put_u8(struct wire_buffer *out, uint8_t value);
void wire_put_u16(struct wire_buffer *out, uint16_t value);
void wire_put_u32(struct wire_buffer *out, uint32_t value);
void wire_put_string(struct wire_buffer *out, const char *text);
/* A message without a body. */
void wire_put_empty(struct wire_buffer *out, char type);
/* An ErrorResponse of our own. */
void wire_put_error(struct wire_buffer *out, const char *severity, const char *sqlstate, const char *message);

#endif
