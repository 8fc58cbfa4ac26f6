import pytest
from django.core.exceptions import ValidationError

from apps.audit.models import Record
from apps.audit.verification import verify_tenant_chain
from apps.inventory import services
from apps.inventory.models import Device, EntityAlias, Interface, Link, ProbeTarget, Site
from apps.tenancy import acting_in
from tests.inventory.factories import ACTOR, AT, make_device, make_link, make_site

pytestmark = pytest.mark.django_db


class TestSites:
    def test_create_and_update_are_audited_with_the_changes(self, in_acme):
        site = make_site("North", code="N", latitude=1.5, longitude=2.5)

        services.update_site(site=site, changes={"name": "North PoP"}, actor=ACTOR, at=AT)

        actions = list(Record.objects.order_by("sequence").values_list("action", "entity_id"))
        assert actions == [("site.created", str(site.id)), ("site.changed", str(site.id))]
        assert Record.objects.get(sequence=2).detail["fields"] == {"name": ["North", "North PoP"]}
        assert verify_tenant_chain() is None

    def test_an_unchanged_update_writes_nothing(self, in_acme):
        site = make_site("North")

        services.update_site(site=site, changes={"name": "North"}, actor=ACTOR, at=AT)

        assert Record.objects.count() == 1

    @pytest.mark.parametrize("fields", [{"name": "North"}, {"name": "Other", "code": "N"}])
    def test_a_taken_name_or_code_is_a_conflict_and_writes_nothing(self, in_acme, fields):
        make_site("North", code="N")

        with pytest.raises(services.NameTaken):
            make_site(**fields)

        assert Site.objects.count() == 1
        assert Record.objects.count() == 1

    def test_two_sites_without_a_code_are_no_conflict(self, in_acme):
        make_site("a")
        make_site("b")

        assert Site.objects.count() == 2

    def test_the_same_name_in_another_tenant_is_no_conflict(self, acme, globex):
        for tenant in (acme, globex):
            with acting_in(tenant):
                make_site("North", code="N")

    @pytest.mark.parametrize("fields", [{"latitude": 91}, {"longitude": -181}, {"name": ""}])
    def test_rejects_invalid_fields_by_name(self, in_acme, fields):
        with pytest.raises(ValidationError) as caught:
            make_site(**{"name": "x", **fields})

        assert set(caught.value.message_dict) == set(fields)

    def test_a_site_with_devices_is_not_deleted(self, in_acme):
        site = make_site()
        make_device(site=site)

        with pytest.raises(services.InUse):
            services.delete_site(site=site, actor=ACTOR, at=AT)

        assert Site.objects.filter(pk=site.pk).exists()

    def test_an_empty_site_is_deleted_and_that_is_audited(self, in_acme):
        site = make_site("gone")
        pk = site.pk

        services.delete_site(site=site, actor=ACTOR, at=AT)

        last = Record.objects.order_by("sequence").last()
        assert (last.action, last.entity_id, last.detail) == (
            "site.deleted",
            str(pk),
            {"name": "gone"},
        )


class TestDevices:
    def test_another_tenants_site_is_refused_like_an_absent_one(self, acme, globex):
        with acting_in(globex):
            foreign = make_site("theirs")

        with acting_in(acme), pytest.raises(ValidationError) as caught:
            make_device(site=foreign)

        assert set(caught.value.message_dict) == {"site"}

    @pytest.mark.parametrize(
        "fields",
        [
            {"management_address": "not an address"},
            {"api_port": 0},
            {"role": "king"},
            {"polling_profile": {"fast_s": 0.1}},
            {"polling_profile": {"sometimes_s": 5}},
            {"polling_profile": {"fast_s": True}},
            {"tags": ["a", "a"]},
            {"tags": [7]},
        ],
    )
    def test_rejects_invalid_fields_by_name(self, in_acme, fields):
        with pytest.raises(ValidationError) as caught:
            make_device(**fields)

        assert set(caught.value.message_dict) == set(fields)

    def test_delete_cascades(self, in_acme):
        one, other = make_device("cr1"), make_device("cr2")
        make_link(one, other)
        Interface.objects.create(device=one, name="to-cr2")
        services.create_default_probe_targets(device=one, echo_port=7007, actor=ACTOR, at=AT)
        services.create_service(name="pppoe", kind="pppoe", device=one, actor=ACTOR, at=AT)

        services.delete_device(device=one, actor=ACTOR, at=AT)

        assert [d.name for d in Device.objects.all()] == ["cr2"]
        for model in (Link, Interface, ProbeTarget, EntityAlias):
            assert not model.objects.exists()


class TestLinks:
    def test_ends_are_bound_at_once_when_the_interfaces_are_known(self, in_acme):
        one, other = make_device("cr1"), make_device("cr2")
        port = Interface.objects.create(device=one, name="to-cr2")

        link = make_link(one, other)

        link.refresh_from_db()
        assert (link.a_interface_id, link.z_interface_id) == (port.id, None)

    def test_renaming_an_end_rebinds_it(self, in_acme):
        one, other = make_device("cr1"), make_device("cr2")
        Interface.objects.create(device=one, name="to-cr2")
        sfp = Interface.objects.create(device=one, name="sfp1")
        link = make_link(one, other)

        services.update_link(link=link, changes={"a_interface_name": "sfp1"}, actor=ACTOR, at=AT)

        link.refresh_from_db()
        assert link.a_interface_id == sfp.id

    def test_a_port_ends_one_link_only(self, in_acme):
        one, other, third = make_device("cr1"), make_device("cr2"), make_device("cr3")
        make_link(one, other)

        with pytest.raises(services.InterfaceTaken):
            make_link(third, one, z_interface_name="to-cr2")

        assert Link.objects.count() == 1

    def test_a_link_to_itself_is_refused_by_the_database(self, in_acme):
        from django.db import IntegrityError, transaction

        one = make_device("cr1")

        with pytest.raises(IntegrityError, match="inventory_link_ends_ck"), transaction.atomic():
            Link.objects.create(name="loop", a_device=one, z_device=one)

    def test_parallel_links_without_named_ends_are_allowed(self, in_acme):
        one, other = make_device("cr1"), make_device("cr2")

        for name in ("a", "b"):
            make_link(one, other, name, a_interface_name="", z_interface_name="")

        assert Link.objects.count() == 2


class TestProbeTargets:
    def test_the_defaults_are_created_once(self, in_acme):
        device = make_device("cr1", api_port=8728)

        for _ in range(2):
            services.create_default_probe_targets(device=device, echo_port=7007, actor=ACTOR, at=AT)

        rows = ProbeTarget.objects.order_by("name").values_list("name", "method", "address", "port")
        assert list(rows) == [
            ("cr1 api", "tcp", "127.20.0.1", 8728),
            ("cr1 echo", "udp_echo", "127.20.0.1", 7007),
        ]

    def test_no_echo_target_without_an_echo_port(self, in_acme):
        targets = services.create_default_probe_targets(device=make_device(), actor=ACTOR, at=AT)

        assert [target.method for target in targets] == ["tcp"]
