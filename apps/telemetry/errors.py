from apps.core.errors import DomainError


class PartitionMissing(DomainError):
    """No partition exists for a sample's day: the keeper has not run for days. The agent sends it again later."""

    status = 503
    default_code = "storage_not_ready"
