"""Measurements that anybody can repeat: each fills a database of its own, measures, and answers with figures.

A new one is a function of ``Asked`` in a module here, named in ``BENCHES``.
"""

from collections.abc import Mapping
from types import MappingProxyType

from apps.console.bench.figures import Bench
from apps.console.bench.isolation import measure_isolation
from apps.console.bench.neighbors import measure_neighbors
from apps.console.bench.pages import bench_pages
from apps.console.bench.rca import measure_rca

BENCHES: Mapping[str, Bench] = MappingProxyType(
    {
        "isolation": measure_isolation,
        "neighbors": measure_neighbors,
        "pages": bench_pages,
        "rca": measure_rca,
    }
)
