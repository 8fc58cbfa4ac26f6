"""Why a request of a tenant is refused although its caller may make it."""

from apps.core.buckets import RateExceeded


class ParallelLimitExceeded(RateExceeded):
    """So many requests of this tenant are being answered that this one must wait. ``Retry-After`` says how long."""

    default_code = "too_many_parallel_requests"


class CostLimitExceeded(RateExceeded):
    """The tenant's requests used their share of processor and database time. ``Retry-After`` says how long to wait."""

    default_code = "cost_limit_exceeded"
