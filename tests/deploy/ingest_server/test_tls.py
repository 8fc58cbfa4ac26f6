"""The listener's context follows its files."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest

from ispvm.deploy.ingest_server.tls import HANDSHAKES_PER_CONTEXT, TlsContext


@dataclass
class Files:
    certfile: str
    keyfile: str
    ca_certs: str


@pytest.fixture
def files(tmp_path: Path) -> Files:
    paths = [tmp_path / name for name in ("server.pem", "server-key.pem", "ca.pem")]
    for path in paths:
        path.write_text("one")
    return Files(*map(str, paths))


class Builder:
    """Makes a context, or finds that key and chain do not fit."""

    def __init__(self) -> None:
        self.created = 0
        self.fits = True

    def __call__(self, _config: object) -> ssl.SSLContext:
        if not self.fits:
            raise ssl.SSLError("key values mismatch")
        self.created += 1
        return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def test_one_context_serves_many_handshakes(files):
    tls = TlsContext(files, build := Builder())

    assert len({id(tls.current()) for _ in range(50)}) == 1
    assert build.created == 1
    assert tls.current().num_tickets == 0
    assert tls.current().options & ssl.OP_NO_TICKET


@pytest.mark.parametrize("name", ["certfile", "keyfile", "ca_certs"])
def test_a_changed_file_creates_a_new_context(files, name):
    tls = TlsContext(files, build := Builder())
    tls.current()
    Path(getattr(files, name)).write_text("another")

    tls.current()

    assert build.created == 2


def test_a_half_replaced_pair_keeps_the_previous_context(files):
    tls = TlsContext(files, build := Builder())
    former = tls.current()
    Path(files.keyfile).write_text("of the next certificate")
    build.fits = False
    assert tls.current() is former
    build.fits = True

    assert tls.current() is not former


def test_files_that_were_never_readable_are_an_error(files):
    Path(files.certfile).unlink()

    with pytest.raises(OSError, match="No such file"):
        TlsContext(files, Builder()).current()


def test_the_sessions_of_a_context_are_limited(files):
    tls = TlsContext(files, build := Builder())
    for _ in range(HANDSHAKES_PER_CONTEXT + 2):
        tls.current()

    assert build.created == 2
