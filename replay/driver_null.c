/*
 * The engine that is not there: every request is answered at once, without a socket. For tests of the schedule, and for
 * measuring what the harness itself costs.
 */
#include "driver.h"
#include "mem.h"

struct driver_target {
	int unused;
};

struct driver_conn {
	struct driver_result result;
};

static int null_target_open(const char *url, bool check_results, struct driver_target **out, struct error *err)
{
	(void)url;
	(void)check_results;
	(void)err;
	*out = mem_zalloc(1, sizeof(**out));
	return 0;
}

static void null_target_free(struct driver_target *target)
{
	free(target);
}

static enum driver_step null_open(struct driver_target *target, const struct driver_login *login,
				  struct driver_conn **out)
{
	(void)target;
	(void)login;
	*out = mem_zalloc(1, sizeof(**out));
	return DRIVER_DONE;
}

static enum driver_step null_send(struct driver_conn *conn, const struct driver_request *request)
{
	(void)request;
	conn->result.rows = 1;
	return DRIVER_DONE;
}

static enum driver_step null_advance(struct driver_conn *conn)
{
	(void)conn;
	return DRIVER_DONE;
}

static int null_socket(const struct driver_conn *conn)
{
	(void)conn;
	return -1;
}

static const struct driver_result *null_result(const struct driver_conn *conn)
{
	return &conn->result;
}

static enum driver_transaction null_transaction(const struct driver_conn *conn)
{
	(void)conn;
	return DRIVER_TRANSACTION_NONE;
}

static const char *null_lost_reason(const struct driver_conn *conn)
{
	(void)conn;
	return "";
}

static int32_t null_backend_pid(const struct driver_conn *conn)
{
	(void)conn;
	return 0;
}

static void null_close(struct driver_conn *conn)
{
	free(conn);
}

static struct driver_cancel *null_cancel_prepare(const struct driver_conn *conn)
{
	(void)conn;
	return NULL;
}

static void null_cancel_end(struct driver_cancel *cancel)
{
	(void)cancel;
}

const struct driver driver_null = {
	.name = "null",
	.target_open = null_target_open,
	.target_free = null_target_free,
	.open = null_open,
	.send = null_send,
	.advance = null_advance,
	.socket = null_socket,
	.result = null_result,
	.transaction = null_transaction,
	.lost_reason = null_lost_reason,
	.backend_pid = null_backend_pid,
	.idle_input = null_advance,
	.close = null_close,
	.cancel_prepare = null_cancel_prepare,
	.cancel_send = null_cancel_end,
	.cancel_free = null_cancel_end,
};
