from apps.core.errors import DomainError


class PartitionMissing(DomainError):
    """There is no partition for a sample's day: the keeper has not run for days. Send again later."""

    status = 503
    default_code = "storage_not_ready"
