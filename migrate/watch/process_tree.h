/*
 * What a server on this machine costs, and how busy the machine is, from /proc: the CPU time, memory and disk bytes of
 * the postmaster and all its children, and the whole machine's CPU, free memory and pressure (what others take too).
 * Formats: proc(5), and the kernel's Documentation/accounting/psi.rst. The folder is a parameter for the tests' sake.
 */
#ifndef PROCESS_TREE_H
#define PROCESS_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_tree {
	uint32_t processes;
	int64_t cpu_ns;	      /* since each began, of those that have ended too */
	int64_t memory_bytes; /* each one's own, and the memory that they share once */
	bool has_io;	      /* false when we may not read it (another user's process) */
	int64_t read_bytes;   /* from the disk, not from the page cache */
	int64_t write_bytes;
};

/* The parent of a backend on this machine: 0 when there is no such process, or it began at another time than told. */
pid_t process_tree_postmaster(const char *proc, pid_t backend, int64_t backend_start_wall_ns);
/* False when the root is gone. */
bool process_tree_read(const char *proc, pid_t root, struct process_tree *out);
/* CPU time that one process has used, in nanoseconds; -1 when it cannot be told. */
int64_t process_tree_cpu_ns(const char *proc, pid_t pid);

/* The machine. What its kernel does not tell is -1. */
struct machine_load {
	int64_t cpus;
	int64_t busy_ns; /* since it was started, of all processors; without waiting for disks */
	int64_t iowait_ns;
	int64_t steal_ns;
	int64_t memory_available_bytes;
	int64_t cpu_stall_us; /* time in which at least one task had to wait for it */
	int64_t io_stall_us;
	int64_t memory_stall_us;
};
void machine_load_read(const char *proc, struct machine_load *out);

#endif
