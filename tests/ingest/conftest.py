import pytest

from apps.ingest.models import BatchReceipt, Stream
from apps.telemetry.models import Event, Series
from apps.tenancy import acting_in
from tests.ingest.client import AgentClient, enroll


@pytest.fixture(autouse=True)
def _ingest_urls(settings):
    settings.ROOT_URLCONF = "ispvm.ingest_urls"
    settings.MIDDLEWARE = ["apps.core.requests.AgentRequestIdMiddleware"]


@pytest.fixture
def agent(acme) -> AgentClient:
    return enroll(acme)


@pytest.fixture
def stored(acme):
    """How many rows of each kind acme has."""

    def count() -> dict[str, int]:
        with acting_in(acme):
            return {
                model.__name__: model.objects.count()
                for model in (Series, Event, Stream, BatchReceipt)
            }

    return count
