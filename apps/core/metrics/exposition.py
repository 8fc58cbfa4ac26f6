"""The text that a scrape gets: of the whole process group, or of this process alone."""

from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from apps.core.metrics.folder import fold_dead, folder_locked, folder_of_group

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def exposition(extra: Iterable[Collector] = ()) -> bytes:
    """Everything counted so far, and what the extra collectors find out now."""
    return _counted() + b"".join(_of(collector) for collector in extra)


def _counted() -> bytes:
    folder = folder_of_group()
    if folder is None:
        return generate_latest(REGISTRY)
    folder.mkdir(parents=True, exist_ok=True)
    registry = CollectorRegistry()
    with folder_locked(folder):
        fold_dead(folder)
        MultiProcessCollector(registry, str(folder))
        return generate_latest(registry)


def _of(collector: Collector) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)
