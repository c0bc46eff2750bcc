#!/usr/bin/env python3
"""How late a replay's statements reached the server, by the servers' own csvlogs: log_lag.py SOURCE.csv LANE.csv…

Sessions are matched by their first statements, statements within a session by order. The clocks' offset is the median
difference, so what is shown is the spread around it. Stamps have milliseconds.
"""
import csv
import datetime
import sys

csv.field_size_limit(1 << 30)


def sessions(path):
    found = {}
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.reader(file):
            if len(row) < 23 or not (row[13].startswith("statement: ") or row[13].startswith("execute ")):
                continue
            stamp = datetime.datetime.strptime(row[0][:23], "%Y-%m-%d %H:%M:%S.%f").timestamp()
            text = row[13].split(": ", 1)[1] + "\0" + row[14]
            found.setdefault(row[5], []).append((stamp, text))
    return {tuple(text for _, text in items[:4]): items for items in found.values()}


def quantile(values, q):
    return values[min(len(values) - 1, int(q * len(values)))]


def main():
    source = sessions(sys.argv[1])
    for path in sys.argv[2:]:
        late = []
        for key, items in sessions(path).items():
            recorded = source.get(key)
            if recorded:
                late += [(b[0] - a[0]) for a, b in zip(recorded, items) if a[1] == b[1]]
        if not late:
            print(f"{path}: no session matches")
            continue
        late.sort()
        offset = quantile(late, 0.5)
        spread = sorted((value - offset) * 1e3 for value in late)
        print(f"by the server's log: {len(late)} statements matched, against the median: "
              f"p1 {quantile(spread, 0.01):+.1f} ms, p90 {quantile(spread, 0.9):+.1f} ms, "
              f"p99 {quantile(spread, 0.99):+.1f} ms, p99.9 {quantile(spread, 0.999):+.1f} ms, "
              f"max {spread[-1]:+.1f} ms")


main()
