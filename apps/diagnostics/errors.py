from apps.core.errors import Conflict, DomainError


class NoAgent(Conflict):
    """No agent that lives watches the device: nobody could try."""

    default_code = "no_agent"


class TestUnderWay(Conflict):
    """The device is being tried already."""

    __test__ = False
    default_code = "test_under_way"


class TooManyTests(DomainError):
    """Each test is a login on a router; there are only so many a minute."""

    status = 429
    default_code = "too_many_tests"


class TestOver(Conflict):
    """The result came too late, or was told otherwise before."""

    __test__ = False
    default_code = "test_over"
