"""Tenant isolation of every table of inventory, topology and agents."""

import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.accounts.models import Membership, User
from apps.agents import services
from apps.agents.choices import AssignmentKind
from apps.agents.models import Agent, AgentCertificate, AgentSite
from apps.agents.models.ownership import FormerAssignment, QuarantinedEntity
from apps.inventory import services as inventory
from apps.inventory.models import Device, Interface, Site
from apps.tenancy import acting_in
from apps.tenancy.context import require_tenant_id
from apps.tenancy.models import TenantModel
from apps.topology.services import create_dependency_group
from apps.vault.services import store_credential_set
from tests.agents.factories import ACTOR, AT, enroll, issue_token, make_agent
from tests.inventory.factories import make_device, make_link
from tests.inventory.test_discovery import full_patch

pytestmark = pytest.mark.django_db

MODELS = [
    model
    for label in ("inventory", "topology", "agents")
    for model in apps.get_app_config(label).get_models()
    if issubclass(model, TenantModel)
]
KEYS = [
    (model, field.name)
    for model in MODELS
    for field in model._meta.concrete_fields
    if field.is_relation and issubclass(field.related_model, TenantModel)
]


def fill() -> None:
    """At least one row in every table, every foreign key set in at least one."""
    device, other = make_device("cr1"), make_device("cr2")
    agent = make_agent("core", site=device.site, attached_device=device)
    inventory.apply_discovery(patch=full_patch(device), device_ids=[device.id], actor=ACTOR, at=AT)
    Interface.objects.create(device=other, name="to-cr1")
    Interface.objects.create(device=device, name="to-cr2")
    link = make_link(device, other)
    inventory.create_default_probe_targets(device=device, actor=ACTOR, at=AT)
    create_dependency_group(
        dependent=("device", other.id), mode="any", members=[("link", link.id)], actor=ACTOR, at=AT
    )
    member = User.objects.create_user(f"noc@{require_tenant_id()}.example")
    Membership.objects.create(tenant_id=require_tenant_id(), user=member, role="noc")
    for row in (device.site, device):
        inventory.grant(user_id=member.id, row=row, actor=ACTOR, at=AT)
    enroll(agent)
    issue_token(agent)
    services.assign_agent(
        agent=agent,
        device_ids=[device.id],
        site_ids=[device.site_id],
        probe_device_ids=[device.id],
        actor=ACTOR,
        at=AT,
    )
    credential_sets = [
        store_credential_set(
            name=name, kind="routeros_api", username="u", secret="s", actor=ACTOR, at=AT
        )
        for name in ("c", "d")
    ]
    inventory.set_device_credentials(
        device=device, credential_sets=credential_sets, actor=ACTOR, at=AT
    )
    FormerAssignment.objects.create(
        agent=agent, device=other, kind=AssignmentKind.values[0], ended_at=AT
    )
    QuarantinedEntity.objects.create(
        agent=agent,
        entity_type="device",
        entity_id=other.id,
        first_seen_at=AT,
        last_seen_at=AT,
    )


@pytest.fixture
def both(acme, globex):
    for tenant in (acme, globex):
        with acting_in(tenant):
            fill()
    return acme, globex


def test_each_tenant_sees_only_its_own_rows(both):
    for model in MODELS:
        owners = []
        for tenant in both:
            with acting_in(tenant):
                rows = set(model.objects.values_list("tenant_id", flat=True))
                assert rows == {tenant.id}, model
                owners.append(set(model.objects.values_list("pk", flat=True)))
        assert owners[0] & owners[1] == set(), model
        assert not model.objects.exists(), model


def test_no_row_can_reference_another_tenants_row(both):
    acme, globex = both
    assert len(KEYS) > 15
    for model, name in KEYS:
        target = model._meta.get_field(name).related_model
        with acting_in(globex):
            foreign = target.objects.values_list("pk", flat=True).first()
        with (
            acting_in(acme),
            pytest.raises(IntegrityError, match="tenant_fk"),
            transaction.atomic(),
        ):
            row = model.objects.filter(**{f"{name}__isnull": False}).first()
            assert row is not None, (model, name)
            model.objects.filter(pk=row.pk).update(**{name: foreign})
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_foreign_rows_cannot_be_changed_moved_or_deleted(both, model):
    acme, globex = both
    with acting_in(globex):
        foreign = list(model.objects.values_list("pk", flat=True))
    with acting_in(acme):
        assert model.objects.filter(pk__in=foreign).update(tenant=acme) == 0
        assert model.objects.filter(pk__in=foreign)._raw_delete("default") == 0
        own = model.objects.values_list("pk", flat=True).first()
        with pytest.raises(DatabaseError), transaction.atomic():
            model.objects.filter(pk=own).update(tenant=globex)


def test_certificates_cannot_be_deleted(both):
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        AgentCertificate.objects.all()._raw_delete("default")


def test_deleting_a_site_leaves_no_dangling_rows(both):
    acme, globex = both
    with acting_in(acme):
        site = Site.objects.get()
        for device in Device.objects.all():
            inventory.delete_device(device=device, actor=ACTOR, at=AT)
        inventory.delete_site(site=site, actor=ACTOR, at=AT)

        assert Agent.objects.get().site_id is None
        assert not AgentSite.objects.exists()
    with acting_in(globex):
        assert AgentSite.objects.count() == 1
