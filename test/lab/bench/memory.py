"""Shared memory that pg_hygiene takes, by pg_shmem_allocations."""
from cluster import EXTENSION, Cluster

SIZES = (100, 5000)

QUERY = """
SELECT name, allocated_size FROM pg_shmem_allocations
 WHERE name LIKE 'pg_hygiene%' ORDER BY name"""


def measure(report) -> None:
    totals = []
    for number in SIZES:
        report.progress(f"memory: {number} connections")
        with Cluster(f"memory{number}",
                     {**EXTENSION, "max_connections": str(number)}) as cluster:
            with cluster.connect() as session:
                found = {name: int(size) for name, size in session.query(QUERY)}
        totals.append(sum(found.values()))
        report.figure(f"shared memory, {number:,} connections",
                      round(totals[-1] / 1024), "kB")
        report.detail(f"memory, {number} connections", found)
    each = (totals[1] - totals[0]) / (SIZES[1] - SIZES[0])
    report.figure("shared memory for each possible session", round(each, 1),
                  "bytes", 512)
