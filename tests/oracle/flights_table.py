#!/usr/bin/env python3
"""Print the table the `flights` job must produce, worked out without any of its code.

Usage: flights_table.py [FLIGHTS.csv]        (standard input without a file, or with `-`)

    zstd -dc data/flights.csv.zst | python3 tests/oracle/flights_table.py > table.csv

Departures are taken in order of scheduled departure (year, month, day, sched_dep_time as numbers;
ties in file order) and grouped by tail number. Rows are sorted by tail number, byte by byte.

    tailnum         the aircraft
    flights         its departures, those without a known delay included
    last_dest       destination of its last departure
    last_delays     its last 10 known departure delays, oldest first, joined by `;`
    dest_counts     `DEST:count`, sorted by destination, joined by `;`
    total_distance  sum of the distances
    mean_delay      mean of its known departure delays, as the double sum / count with 3 decimals
    max_delay       the largest of them

The decimals of the mean are those of the double's exact value, rounded to nearest, ties to even. Both
delay columns and `last_delays` are empty where no delay is known. Departures without a tail number
are left out. Standard error gets the number of rows in the table and of departures left out.
"""

import csv
import io
import sys

HEADER = (
    "tailnum,flights,last_dest,last_delays,dest_counts,total_distance,mean_delay,max_delay"
)
LAST_DELAYS = 10


def known(field):
    """Tell whether the field holds a value."""
    return field not in ("", "NA")


def departures(lines):
    """Return the departures in order of scheduled departure."""
    rows = list(csv.DictReader(lines))
    # `sort` is stable, so ties keep the order of the file.
    rows.sort(
        key=lambda r: (
            int(r["year"]),
            int(r["month"]),
            int(r["day"]),
            int(r["sched_dep_time"]),
        )
    )
    return rows


def row(tailnum, flights):
    """Return the table's row for one aircraft, from its departures in order."""
    delays = [int(f["dep_delay"]) for f in flights if known(f["dep_delay"])]
    dests = [f["dest"] for f in flights]
    counts = ";".join(
        "%s:%d" % (dest, dests.count(dest)) for dest in sorted(set(dests), key=str.encode)
    )
    return ",".join(
        [
            tailnum,
            str(len(flights)),
            dests[-1],
            ";".join(map(str, delays[-LAST_DELAYS:])),
            counts,
            str(sum(int(f["distance"]) for f in flights)),
            "%.3f" % (sum(delays) / len(delays)) if delays else "",
            str(max(delays)) if delays else "",
        ]
    )


def main():
    """Read the departures, print the table."""
    path = sys.argv[1] if len(sys.argv) > 1 else "-"
    if path == "-":
        rows = departures(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", newline=""))
    else:
        with open(path, encoding="utf-8", newline="") as lines:
            rows = departures(lines)

    skipped = 0
    by_tailnum = {}
    for departure in rows:
        if known(departure["tailnum"]):
            by_tailnum.setdefault(departure["tailnum"], []).append(departure)
        else:
            skipped += 1

    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n")
    print(HEADER, file=out)
    for tailnum in sorted(by_tailnum, key=str.encode):
        print(row(tailnum, by_tailnum[tailnum]), file=out)
    out.flush()
    print("rows %d" % len(by_tailnum), file=sys.stderr)
    print("skipped %d" % skipped, file=sys.stderr)


if __name__ == "__main__":
    main()
