"""The engine is tested with webhooks to a receiver of our own, and with a channel that only these tests have."""

from tests.webhooks.conftest import _no_broker, make_endpoint, server

__all__ = ["_no_broker", "make_endpoint", "server"]
