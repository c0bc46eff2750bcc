#!/usr/bin/env python3
"""make_corpus.py NAME FOLDER [BIN]: seeds for a fuzz target, cut from the logs that the unit tests read; replay files
and run logs are made of them with the program in BIN, and taken apart into chunks. (Health logs, which need a server: BIN
is a run directory.)"""
import csv, glob, os, shutil, struct, subprocess, sys, zlib

name, folder = sys.argv[1:3]
here = os.path.dirname(os.path.abspath(__file__))
logs = sorted(glob.glob(here + "/../unit/data/capture/*.csv"))


def put(number, data):
    with open("%s/seed-%04d" % (folder, number), "wb") as f:
        f.write(data)


def put_chunks(number, path, kinds):
    """The file as it is, and taken apart as tests/fuzz/support_chunks.h wants it."""
    with open(path, "rb") as f:
        data = f.read()
    put(number, b"\0" + data)
    chunks, at = b"\1", 16
    while data[at:at + 4] == b"CHNK":
        kind, (_, stored, count) = data[at + 4:at + 8], struct.unpack("<III", data[at + 8:at + 20])
        raw = data[at + 32:at + 32 + stored]
        at += 32 + stored
        try:
            raw = zlib.decompress(raw)
        except zlib.error:
            pass
        if kind in kinds:
            chunks += struct.pack("<BHB", kinds.index(kind), count, 0) + struct.pack("<I", len(raw))[:3] + raw
    put(100 + number, chunks)


if name == "fuzz_sql_lexer":
    texts = set()
    for log in logs:
        for row in csv.reader(open(log, newline="", encoding="latin1")):
            message = row[13].split(": ", 2)
            if "statement" in row[13] or "execute" in row[13]:
                texts.add(message[-1])
    for number, text in enumerate(sorted(texts)):
        put(number, text.encode("latin1"))
elif name == "fuzz_prefix":
    prefixes = [b"%t:%r:%u@%d:[%p]:", b"%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a", b"%m [%p] %q%u@%d ",
                b"%n|%-12u|%10d|%-6p|%-18a|%i|%h|%b|%e|%Q|%%|%q%c> "]
    for number, log in enumerate(sorted(glob.glob(here + "/../unit/data/capture/*.log"))):
        with open(log, "rb") as f:
            for line_number, line in enumerate(f.read().split(b"\n")[::40]):
                for p, prefix in enumerate(prefixes):
                    put(number * 10000 + line_number * 10 + p, prefix + b"\n" + line[:300])
elif name == "fuzz_wire":
    def message(kind, body):
        return kind + struct.pack(">I", len(body) + 4) + body

    error = message(b"E", b"SERROR\0VERROR\0C42601\0Msyntax error\0P17\0Rscanner_yyerror\0\0")
    tool = [message(b"Q", b"SELECT 1; SELECT 2\0"), message(b"P", b"name\0INSERT INTO t VALUES ($1)\0\0\1\0\0\0\x17"),
            message(b"B", b"portal\0name\0\0\0\0\1\0\0\0\x011\0\0"), message(b"D", b"Pportal\0"),
            message(b"E", b"portal\0\0\0\0\0"), message(b"C", b"Sname\0"), message(b"S", b""), message(b"H", b""),
            message(b"d", b"1\tx\n"), message(b"c", b""), message(b"f", b"no\0"), message(b"X", b"")]
    server = [message(b"S", b"TimeZone\0UTC\0"), message(b"T", b"\0\1id\0" + bytes(18)), message(b"Z", b"T"),
              message(b"D", b"\0\1\0\0\0\x0242"), message(b"C", b"SELECT 1\0"), error, message(b"N", error[5:]),
              message(b"1", b""), message(b"2", b""), message(b"G", b"\0\0\1\0\0"), message(b"I", b"")]
    startup = struct.pack(">II", 8, 80877103) + struct.pack(">II", 24, 196608) + b"user\0postgres\0\0\0"
    for number, stream in enumerate([b"".join(tool), b"".join(server), startup, message(b"Q", b"x" * 70000),
                                     message(b"d", b"x" * 70000), message(b"D", b"x" * 70000)]):
        for first in (0, 1, 4, 5, 254, 255):
            put(number * 10 + first % 10, bytes([first]) + stream)
elif name in ("fuzz_replay_file", "fuzz_run_log"):
    program = os.path.join(sys.argv[3], "rehearse") if len(sys.argv) > 3 else "rehearse"
    for number, log in enumerate(logs if os.path.exists(program) else []):
        made, run = folder + "/made.rpl", folder + "/run"
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([program, "create-replay", "--quiet", log, "-o", made], **quiet)
        if name == "fuzz_replay_file":
            put_chunks(number, made, [b"ITEM", b"SESS", b"TEXT", b"SRCS", b"SUMM"])
        else:
            subprocess.run([program, "run-replay", made, "--baseline", "null:", "--speed", "max", "--quiet", "-o", run], **quiet)
            put_chunks(number, run + "/baseline.log", [b"PAGE", b"SESS"])
            shutil.rmtree(run)
        os.unlink(made)
elif name == "fuzz_health_log":
    for number, log in enumerate(sorted(glob.glob(sys.argv[3] + "/health.*")) if len(sys.argv) > 3 else []):
        put_chunks(number, log, [b"SAMP", b"LOOK", b"EVNT", b"SERS", b"ACTV", b"GAPS", b"NOTE", b"SUMM"])
else:
    ending = {"fuzz_jsonlog": "json", "fuzz_stderr": "log"}.get(name, "csv")
    logs = sorted(glob.glob(here + "/../unit/data/capture/*." + ending))
    for number, log in enumerate(logs):
        with open(log, "rb") as f:
            data = f.read()
        # trio_aurora, trio_debian, trio_padded, trio_rds: the prefix's number in fuzz_stderr.c
        choice = bytes([[1, 2, 3, 0][number % 4]]) if ending == "log" else b""
        lines = data.split(b"\n")
        put(number, choice + data[:20000])
        for part in range(0, len(lines), 25):
            put(1000 + number * 100 + part // 25, choice + b"\n".join(lines[part:part + 25]) + b"\n")
