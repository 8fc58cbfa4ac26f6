from apps.core.errors import Conflict, DomainError


class NoAgent(Conflict):
    """No online agent is assigned to the device."""

    default_code = "no_agent"


class TestInProgress(Conflict):
    """A test of the device is in progress already."""

    __test__ = False
    default_code = "test_in_progress"


class TooManyTests(DomainError):
    """The rate limit of tests: each is a login on a router."""

    status = 429
    default_code = "too_many_tests"


class TestNotRunning(Conflict):
    """The test expired, or has another result already."""

    __test__ = False
    default_code = "test_finished"
