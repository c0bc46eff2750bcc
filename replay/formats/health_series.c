/* The names of health series: see health_series.h. */
#include "health_series.h"

#include <string.h>

static const struct health_series_info series[] = {
	{"sessions.total", "sessions", false, false},
	{"sessions.active", "sessions", false, false},
	{"sessions.waiting", "sessions", false, false},
	{"sessions.idle_in_transaction", "sessions", false, false},
	{"sessions.own", "sessions", false, false},
	{"wait", "sessions", false, true},
	{"xact.age_ns", "ns", false, false},
	{"vacuum.workers", "processes", false, false},
	{"xmin.age_xids", "transactions", false, false},
	{"xmin.backends_xids", "transactions", false, false},
	{"xmin.prepared_xids", "transactions", false, false},
	{"xmin.slots_xids", "transactions", false, false},
	{"xact.prepared_age_ns", "ns", false, false},
	{"wal.bytes", "bytes", true, false},
	{"slots.count", "slots", false, false},
	{"slots.inactive", "slots", false, false},
	{"slots.lost", "slots", false, false},
	{"slots.retained_bytes", "bytes", false, false},
	{"slot.retained_bytes", "bytes", false, true},
	{"standbys.count", "standbys", false, false},
	{"standbys.backups", "backups", false, false},
	{"standbys.lag_bytes", "bytes", false, false},
	{"standbys.lag_ns", "ns", false, false},
	{"db.commits", "transactions", true, false},
	{"db.rollbacks", "transactions", true, false},
	{"db.blocks_hit", "blocks", true, false},
	{"db.blocks_read", "blocks", true, false},
	{"db.temp_files", "files", true, false},
	{"db.temp_bytes", "bytes", true, false},
	{"db.deadlocks", "deadlocks", true, false},
	{"db.conflicts", "conflicts", true, false},
	{"db.size_bytes", "bytes", false, false},
	{"checkpoints.timed", "checkpoints", true, false},
	{"checkpoints.requested", "checkpoints", true, false},
	{"checkpoints.write_ms", "ms", true, false},
	{"checkpoints.sync_ms", "ms", true, false},
	{"checkpoints.buffers", "blocks", true, false},
	{"tables.count", "tables", false, false},
	{"tables.dead", "rows", false, false},
	{"tables.live", "rows", false, false},
	{"table.dead", "rows", false, true},
	{"table.live", "rows", false, true},
	{"server.processes", "processes", false, false},
	{"server.cpu_ns", "ns", true, false},
	{"server.memory_bytes", "bytes", false, false},
	{"server.read_bytes", "bytes", true, false},
	{"server.write_bytes", "bytes", true, false},
	{"host.cpus", "processors", false, false},
	{"host.cpu_busy_ns", "ns", true, false},
	{"host.cpu_iowait_ns", "ns", true, false},
	{"host.cpu_steal_ns", "ns", true, false},
	{"host.memory_available_bytes", "bytes", false, false},
	{"host.cpu_stall_us", "us", true, false},
	{"host.io_stall_us", "us", true, false},
	{"host.memory_stall_us", "us", true, false},
	{"watch.sample_ns", "ns", false, false},
	{"watch.cpu_ns", "ns", true, false},
	{"watch.server_cpu_ns", "ns", true, false},
};
#define SERIES_COUNT (sizeof(series) / sizeof(series[0]))

const struct health_series_info *health_series_find(const char *name)
{
	for (size_t i = 0; i < SERIES_COUNT; i++) {
		if (strcmp(series[i].name, name) == 0)
			return &series[i];
	}
	return NULL;
}

size_t health_series_count(void)
{
	return SERIES_COUNT;
}

const struct health_series_info *health_series_at(size_t index)
{
	return &series[index];
}
