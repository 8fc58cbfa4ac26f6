"""Errors of requests beyond the limits of their tenant."""

from apps.core.buckets import RateExceeded


class ParallelLimitExceeded(RateExceeded):
    """The tenant has too many requests in progress. ``Retry-After`` says when to try again."""

    default_code = "too_many_parallel_requests"


class CostLimitExceeded(RateExceeded):
    """The tenant's requests have used their share of CPU and database time. ``Retry-After`` says when to try again."""

    default_code = "cost_limit_exceeded"
