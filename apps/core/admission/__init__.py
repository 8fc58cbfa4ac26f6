"""What one tenant may take of the web processes: requests at once, and cost.

``AdmissionMiddleware`` gives each request an ``Admission``; ``accounts`` enters it when the tenant is known.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from apps.core.admission.errors import CostLimitExceeded, ParallelLimitExceeded
from apps.core.admission.request import Admission

View = TypeVar("View", bound=Callable[..., Any])

__all__ = ["Admission", "CostLimitExceeded", "ParallelLimitExceeded", "expensive"]


def expensive(view: View) -> View:
    """Mark a page that may take seconds of processor or database: a tenant gets few of them at once."""
    view.is_expensive = True  # type: ignore[attr-defined]  # read by TenantMiddleware
    return view
