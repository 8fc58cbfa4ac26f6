from apps.incidents.models.incident import Incident, IncidentAlert, TimelineEntry
from apps.incidents.models.verdicts import GraphVersion, Revision, StoredSnapshot

__all__ = [
    "GraphVersion",
    "Incident",
    "IncidentAlert",
    "Revision",
    "StoredSnapshot",
    "TimelineEntry",
]
