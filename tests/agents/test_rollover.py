"""Rollover of the authority: published before it signs, trusted while needed, refused if agents would lose access."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.management import CommandError, call_command

from agent.protocol.tokens import TokenContent, parse_token
from apps.agents import keys, services
from apps.agents.identity import clear_certificate_cache
from apps.agents.models import Agent, CertificateAuthority
from apps.agents.pki import create_authority, fingerprint_of
from apps.audit.models import PlatformRecord
from apps.core import clock
from apps.vault.services import platform_secret, store_platform_secret
from tests.agents.csr import make_csr
from tests.agents.factories import ACTOR, AT, der_of, enroll, issue_token, make_agent

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _fresh_cache():
    clear_certificate_cache()
    yield
    clear_certificate_cache()


def stage() -> str:
    return services.stage_authority(actor=ACTOR, at=AT)


def promote(**options) -> CertificateAuthority:
    return services.promote_authority(actor=ACTOR, at=AT, **options)


def retire(at=AT, **options) -> int:
    return services.retire_authorities(actor=ACTOR, at=at, **options)


def send_heartbeat(agent: Agent) -> None:
    """The agent reports its trusted authorities after it applied its config."""
    _, config = services.build_config(agent_id=agent.id, at=AT)
    pems = x509.load_pem_x509_certificates(
        (config["ca_pem"] + (config["next_ca_pem"] or "")).encode()
    )
    pins = [fingerprint_of(pem.public_bytes(Encoding.PEM).decode()) for pem in pems]
    services.record_heartbeat(agent_id=agent.id, trusted_authorities=pins, at=AT)


def renew(issued: services.IssuedCertificate, at=AT) -> services.IssuedCertificate:
    identity = services.authenticate_certificate(der=der_of(issued), at=at, for_renewal=True)
    return services.renew_certificate(identity=identity, csr_pem=make_csr(), at=at)


def signer_of(issued: services.IssuedCertificate) -> str:
    pem = issued.certificate_pem.encode()
    issuer = x509.load_pem_x509_certificate(pem).issuer
    for row in CertificateAuthority.objects.all():
        if x509.load_pem_x509_certificate(row.certificate_pem.encode()).subject == issuer:
            return row.fingerprint
    raise AssertionError


def test_a_rollover_keeps_every_agent(in_acme, tmp_path):
    agent = make_agent()
    first = enroll(agent)
    former = signer_of(first)
    files = services.write_listener_certificate(
        folder=tmp_path, hosts=["127.0.0.1"], actor=ACTOR, at=AT
    )
    version = services.config_version(agent_id=agent.id, at=AT)

    upcoming = stage()

    assert services.config_version(agent_id=agent.id, at=AT) != version, (
        "agents would not receive it"
    )
    assert signer_of(renew(first)) == former, "it signs before it was published"
    assert services.refresh_listener_certificate(folder=tmp_path, actor=ACTOR, at=AT)
    assert files.ca.read_text().count("BEGIN") == 2, "ingest would not know the next one's agents"
    with pytest.raises(services.AuthorityInUse) as caught:
        promote()
    assert "acme/core: no heartbeat yet" in caught.value.message
    assert caught.value.context["agents"] == [str(agent.id)]
    send_heartbeat(agent)
    promote()
    second = renew(first)
    assert (signer_of(second), fingerprint_of(second.ca_pem)) == (upcoming, upcoming)
    for issued in (first, second):
        assert services.authenticate_certificate(der=der_of(issued), at=AT)
    assert services.refresh_listener_certificate(folder=tmp_path, actor=ACTOR, at=AT)
    chain = x509.load_pem_x509_certificates(files.certificate.read_bytes())
    chain[0].verify_directly_issued_by(chain[1])
    assert fingerprint_of(chain[1].public_bytes(Encoding.PEM).decode()) == upcoming

    assert retire() == 1

    with pytest.raises(services.CertificateRefused) as refused:
        clear_certificate_cache()
        services.authenticate_certificate(der=der_of(first), at=AT)
    assert refused.value.code == "certificate_unknown"
    assert services.authenticate_certificate(der=der_of(second), at=AT)
    assert services.current_trust(at=AT).old == ()
    assert [r.action for r in PlatformRecord.objects.filter(entity_type="authority")] == [
        "authority.created",
        "authority.staged",
        "authority.promoted",
        "authority.retired",
    ]


def test_the_old_authority_is_not_retired_while_an_agent_depends_on_it(in_acme):
    issued = enroll(make_agent())
    stage()
    promote(force=True)

    with pytest.raises(services.AuthorityInUse) as caught:
        retire()
    assert "acme/core: certificate expires 2026-03-31" in caught.value.message
    with pytest.raises(services.AuthorityInUse):
        retire(at=AT + 59 * DAY)  # expired, but in its grace period
    assert retire(at=AT + 61 * DAY) == 1
    assert issued


def test_a_retired_authority_has_no_key_and_revoked_agents_do_not_block(in_acme):
    agent = make_agent()
    enroll(agent)
    stage()
    services.revoke_agent(agent=agent, actor=ACTOR, at=AT)
    promote()
    retire()

    assert bytes(CertificateAuthority.objects.get(stage="retired").sealed_key) == b""


@pytest.mark.parametrize("step", ["promote", "retire"])
def test_a_step_out_of_order_is_refused(in_acme, step):
    enroll(make_agent())

    with pytest.raises(services.AuthorityStageWrong):
        {"promote": promote, "retire": retire}[step]()


def test_there_is_one_next_authority(in_acme):
    stage()

    with pytest.raises(services.AuthorityStageWrong) as caught:
        stage()
    assert caught.value.code == "next_authority_exists"


def test_tokens_pin_the_active_and_the_next_authority(in_acme):
    agent = make_agent()
    before = parse_token(issue_token(agent))
    upcoming = stage()
    during = parse_token(issue_token(agent))
    promote()
    after = parse_token(issue_token(agent))

    assert (before.next_ca_sha256, during.next_ca_sha256, after.next_ca_sha256) == (
        "",
        upcoming,
        "",
    )
    assert (during.ca_sha256, after.ca_sha256) == (before.ca_sha256, upcoming)
    assert parse_token(during.text()) == during
    # Agents of the former version parse the same text.
    assert TokenContent(during.url, during.ca_sha256, during.secret).text() != during.text()


def test_a_wrong_key_file_is_refused(in_acme, settings, tmp_path):
    enroll(make_agent())
    other = tmp_path / "ca_key"
    other.write_text("ab" * 32)
    other.chmod(0o400)
    settings.ISPVM_CA_KEY_FILE = str(other)

    with pytest.raises(keys.SecretUnreadable):
        services.check_signer(at=AT)
    with pytest.raises(CommandError, match="restore the right file"):
        call_command("signer")


def test_a_rollover_replaces_a_lost_key_file(in_acme, settings, tmp_path):
    agent = make_agent()
    first = enroll(agent)
    other = tmp_path / "ca_key"
    other.write_text("cd" * 32)
    other.chmod(0o400)
    settings.ISPVM_CA_KEY_FILE = str(other)

    upcoming = stage()
    send_heartbeat(agent)
    promote()

    assert services.check_signer(at=AT) == upcoming
    assert signer_of(renew(first)) == upcoming


def test_without_the_key_file_nothing_signs(in_acme, settings):
    enroll(make_agent())
    settings.ISPVM_CA_KEY_FILE = ""

    with pytest.raises(services.SignerUnavailable):
        services.ensure_authority(at=AT)
    with pytest.raises(CommandError, match="needs ISPVM_CA_KEY_FILE"):
        call_command("signer")


def test_a_key_under_the_master_key_is_moved_to_the_signer(in_acme):
    authority = create_authority(name="from before", at=AT)
    bundle = authority.key_pem + authority.certificate_pem.encode()
    store_platform_secret(name="agents-ca-key", plaintext=bundle, at=AT)

    assert services.ensure_authority(at=AT).fingerprint == authority.fingerprint
    assert platform_secret("agents-ca-key") == b"moved to the signer"
    assert signer_of(enroll(make_agent())) == authority.fingerprint


def test_the_command_runs_each_step(in_acme, capsys):
    agent = make_agent()
    enroll(agent, clock.now())
    call_command("authority", "stage")
    with pytest.raises(CommandError, match="1 agents do not trust the next authority yet"):
        call_command("authority", "promote")
    send_heartbeat(agent)
    call_command("authority", "promote")
    with pytest.raises(CommandError, match="certificate expires"):
        call_command("authority", "retire")
    call_command("authority", "status")
    call_command("authority", "retire", "--force")

    output = capsys.readouterr().out
    assert "Staged" in output
    assert "old" in output
    assert "Retired 1." in output
