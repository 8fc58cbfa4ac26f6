import pytest

from tests.mail.smtp_server import mail_server


@pytest.fixture
def smtp(tmp_path, settings):
    """A mail server, with the settings to reach it."""
    with mail_server(tmp_path, settings) as server:
        yield server
