"""The exposition text: of the whole process group, or of this process alone."""

from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from apps.core.metrics.folder import group_folder, locked_folder, merge_dead

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def exposition(extra: Iterable[Collector] = ()) -> bytes:
    """All metrics of the group, and those of the extra collectors."""
    return _counted() + b"".join(_of(collector) for collector in extra)


def _counted() -> bytes:
    folder = group_folder()
    if folder is None:
        return generate_latest(REGISTRY)
    folder.mkdir(parents=True, exist_ok=True)
    registry = CollectorRegistry()
    with locked_folder(folder):
        merge_dead(folder)
        MultiProcessCollector(registry, str(folder))
        return generate_latest(registry)


def _of(collector: Collector) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)
