"""The collectors: each folder of this package is one. Pure, as ``facts``."""

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from agent import collectors
from agent.collectors.facts import CollectorFacts, CredentialKind

#: The collector of a device whose config names none: servers before 0.2 know no other.
DEFAULT = "routeros"


def _read_folders() -> Iterator[CollectorFacts]:
    for folder in sorted(iter_modules(collectors.__path__), key=lambda module: module.name):
        if folder.ispkg:
            yield import_module(f"{collectors.__name__}.{folder.name}.facts").FACTS


COLLECTORS: Mapping[str, CollectorFacts] = MappingProxyType(
    {facts.name: facts for facts in _read_folders()}
)
#: Kinds of credentials that a collector logs in with.
CREDENTIAL_KINDS: tuple[CredentialKind, ...] = tuple(
    kind for facts in COLLECTORS.values() for kind in facts.credentials
)
#: The sources of the ingest protocol.
SOURCES: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *(facts.source for facts in COLLECTORS.values()),
            *("routeros_api", "snmp", "probe", "syslog_derived", "derived", "synthetic"),
        )
    )
)


def has_collector(capabilities: Collection[str], name: str) -> bool:
    """Whether an agent that reports these capabilities has this collector; every agent has the default one."""
    return name == DEFAULT or facts_of(name).source in capabilities


def facts_of(name: str) -> CollectorFacts:
    """The facts of a collector; of one that this version does not have, only its name."""
    known = COLLECTORS.get(name)
    return known or CollectorFacts(name, name, name, source="", source_label=name, port=0)
