"""Limits of a tenant's use of the web processes: concurrent requests, and cost.

``AdmissionMiddleware`` gives each request an ``Admission``; ``accounts`` calls ``enter`` when the tenant is known.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from apps.core.admission.errors import CostLimitExceeded, ParallelLimitExceeded
from apps.core.admission.request import Admission

View = TypeVar("View", bound=Callable[..., Any])

__all__ = ["Admission", "CostLimitExceeded", "ParallelLimitExceeded", "expensive"]


def expensive(view: View) -> View:
    """Mark a view that may use seconds of CPU or database time: few of them run at once per tenant."""
    view.is_expensive = True  # type: ignore[attr-defined]  # read by TenantMiddleware
    return view
