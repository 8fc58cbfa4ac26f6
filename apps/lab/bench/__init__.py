"""Measurements that anybody can repeat: each fills a database of its own, measures, and answers with figures.

A new one is a function of ``Asked`` in a module here, named in ``BENCHES``.
"""

from collections.abc import Mapping
from types import MappingProxyType

from apps.lab.bench.deliver import measure_deliver
from apps.lab.bench.figures import Bench
from apps.lab.bench.isolation import measure_isolation
from apps.lab.bench.neighbors import measure_neighbors
from apps.lab.bench.pages import bench_pages
from apps.lab.bench.rca import measure_rca

BENCHES: Mapping[str, Bench] = MappingProxyType(
    {
        "deliver": measure_deliver,
        "isolation": measure_isolation,
        "neighbors": measure_neighbors,
        "pages": bench_pages,
        "rca": measure_rca,
    }
)
