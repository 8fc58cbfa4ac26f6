"""What every REST endpoint does alike: paging, filters, order, trimming, problems, methods."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import OperationalError, connection
from django.urls import get_resolver
from psycopg2.errors import QueryCanceled
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate

from apps.accounts.selectors import access_for_user
from apps.alerts.models import Alert
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.core.admission import Admission
from apps.core.messages import Message
from apps.rest import views
from apps.rest.deprecation import Deprecation
from apps.rest.parsing import MAX_BODY
from apps.rest.problems import problem_response
from apps.rest.views import TenantView, TenantViewSet
from apps.tenancy import acting_in
from tests.accounts.rows import rule
from tests.accounts.test_access_table import REST, class_of, patterns
from tests.clients import bearer, faulty_fields, listed, problem
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db

SITES = "/api/v1/sites/"


@pytest.fixture
def admin(acme, acme_admin) -> APIClient:
    client = bearer(acme, acme_admin)
    client.raise_request_exception = False
    return client


@pytest.fixture
def sites(acme) -> list[str]:
    with acting_in(acme):
        return [make_site(name).name for name in ("berlin", "aachen", "chemnitz", "dresden")]


def names(admin: APIClient, query: str) -> list[str]:
    return [row["name"] for row in listed(admin, f"{SITES}?{query}")]


def faults(answer) -> list[tuple[str, str]]:
    assert problem(answer) == (400, "invalid")
    return [(error["field"], error["code"]) for error in answer.json()["errors"]]


class TestPaging:
    def test_all_pages_hold_every_row_once_in_the_requested_order(self, admin, sites):
        seen, url = [], f"{SITES}?page_size=3&ordering=-name"
        while url:
            page = admin.get(url).json()
            seen += [row["name"] for row in page["results"]]
            url = page["next"]

        assert seen == sorted(sites, reverse=True)

    def test_the_total_is_there_when_requested(self, admin, sites):
        assert admin.get(f"{SITES}?page_size=1&total=true").json()["total"] == len(sites)
        assert "total" not in admin.get(SITES).json()

    @pytest.mark.parametrize("size", ["0", "501", "-1", "x", "", "٣", "9" * 5000])
    def test_a_page_size_out_of_bounds_is_refused(self, admin, size):
        assert faulty_fields(admin.get(SITES, {"page_size": size})) == {"page_size"}

    @pytest.mark.parametrize("cursor", ["", "x", "bz0xJnA9eA==", "a:b:c", "ÿ"])
    def test_a_cursor_made_by_hand_is_refused(self, admin, cursor):
        assert faulty_fields(admin.get(SITES, {"cursor": cursor})) == {"cursor"}

    def test_a_cursor_of_another_order_or_list_is_refused(self, admin, sites):
        after = admin.get(f"{SITES}?page_size=1&ordering=name").json()["next"]

        assert faulty_fields(admin.get(after.replace("ordering=name", "ordering=-name")))
        assert faulty_fields(admin.get(after.replace("sites", "devices")))

    def test_an_outage_on_one_instant_is_paged_to_its_end(self, acme, admin):
        now, count = clock.now(), 1203
        with acting_in(acme):
            pk, device = rule(), make_device("cr1").id
            shared = {"severity": "critical", "summary": "x", "observation": {}, "since": now}
            shared["summary_message"] = Message("alerts.summary.text", {"text": "x"})
            Alert.objects.bulk_create(
                Alert(rule_id=pk, entity_type="device", entity_id=device, state="ok",
                      fired_at=now, **shared)
                for _ in range(count)
            )  # fmt: skip
        seen, url = [], "/api/v1/alerts/?page_size=400"
        while url:
            page = admin.get(url).json()
            seen += [row["id"] for row in page["results"]]
            url = page["next"] if len(seen) <= count else None

        assert len(seen) == len(set(seen)) == count


class TestFilters:
    def test_a_misspelt_filter_is_refused(self, admin, sites):
        assert faults(admin.get(f"{SITES}?nmae=berlin")) == [("nmae", "unknown_parameter")]

    def test_a_filter_given_twice_is_refused(self, admin, sites):
        assert faults(admin.get(f"{SITES}?name=a&name=b")) == [("name", "repeated")]

    def test_an_empty_filter_is_refused(self, admin, sites):
        assert faults(admin.get(f"{SITES}?name=")) == [("name", "blank")]

    def test_a_value_that_the_field_cannot_have_is_refused(self, admin):
        assert faulty_fields(admin.get("/api/v1/devices/?role=toaster")) == {"role"}
        assert faulty_fields(admin.get("/api/v1/devices/?site=x")) == {"site"}

    def test_an_order_that_is_not_offered_is_refused(self, admin):
        assert faulty_fields(admin.get(f"{SITES}?ordering=tenant__slug")) == {"ordering"}

    def test_it_finds_and_sorts(self, admin, sites):
        assert names(admin, "name=berlin") == ["berlin"]
        assert names(admin, "ordering=name") == sorted(sites)


LISTS = [
    (path, class_of(entry))
    for path, entry in REST
    if issubclass(class_of(entry), TenantViewSet)
    and "list" in getattr(entry.callback, "actions", {}).values()
]


@pytest.mark.parametrize(("path", "view"), LISTS, ids=[path for path, _ in LISTS])
def test_every_offered_order_is_by_a_column_that_is_never_empty(
    rf, acme, acme_admin, path, view, admin
):
    for name in view.orderings:
        url = "/" + path.replace("^", "").replace("$", "")
        for params in (name, f"-{name}"):
            assert admin.get(url, {"ordering": params}).status_code == 200
        shown = view(request=None, format_kwarg=None, action="list", swagger_fake_view=True)
        rows = shown.get_queryset()
        order = view.entity_list.order(name) if hasattr(view, "entity_list") else None
        if order and not isinstance(order.value or "", str):
            continue  # an expression without nulls: tests/console/test_entity_lists.py pages over it
        column_name = order.column if order else name
        try:
            # A column of a joined row is an annotation.
            column = rows.query.annotations.get(column_name)
            field = column.target if column else rows.model._meta.get_field(column_name)
        except (AttributeError, FieldDoesNotExist):
            pytest.fail(f"{name} is no column: a cursor cannot stand on it")
        assert not field.null, "rows without a value would be on no page"


class TestFieldSelection:
    def test_only_the_requested_fields_are_sent(self, admin, sites):
        assert listed(admin, f"{SITES}?fields=name&ordering=name")[0] == {"name": "aachen"}

    def test_a_row_with_selected_fields_keeps_its_etag(self, admin, sites):
        pk = listed(admin, SITES)[0]["id"]
        whole, trimmed = (admin.get(f"{SITES}{pk}/{query}") for query in ("", "?fields=id"))

        assert trimmed.json() == {"id": pk}
        assert trimmed["ETag"] == whole["ETag"]

    def test_an_unknown_field_is_refused_also_on_an_empty_list(self, admin):
        assert faults(admin.get(f"{SITES}?fields=name,colour")) == [("fields", "unknown_field")]


class TestMethods:
    @pytest.mark.parametrize("path", [SITES, "/api/v1/me/", "/api/v1/roles/"])
    def test_head_is_get_without_a_body(self, admin, path):
        answer = admin.head(path)

        assert (answer.status_code, answer.content) == (200, b"")

    def test_options_names_the_methods_and_nothing_more(self, admin):
        answer = admin.options(SITES)

        assert (answer.status_code, answer.content) == (204, b"")
        assert answer["Allow"] == "GET, POST, HEAD, OPTIONS"

    @pytest.mark.parametrize(
        "path", ["events/", "metrics/latest/", "metrics/query/", "sites/", "me/"]
    )
    def test_options_answers_whatever_its_parameters_are(self, admin, path):
        answer = admin.options(f"/api/v1/{path}?metric=x&nothing=1&nothing=2")

        assert (answer.status_code, answer.content) == (204, b"")
        assert "GET" in answer["Allow"]

    def test_options_needs_authentication(self):
        assert problem(APIClient().options(SITES))[0] == 401

    @pytest.mark.parametrize("method", ["put", "delete", "patch", "trace"])
    def test_an_unknown_method_is_405_with_the_allowed_ones(self, admin, method):
        answer = getattr(admin, method)(SITES)

        assert problem(answer) == (405, "method_not_allowed")
        assert answer["Allow"] == "GET, POST, HEAD, OPTIONS"


class TestEdges:
    def test_an_unknown_path_is_a_problem(self, admin):
        assert problem(admin.get("/api/v1/toasters/")) == (404, "not_found")
        assert problem(APIClient().get("/api/v2/sites/")) == (404, "not_found")

    def test_a_read_without_the_slash_is_redirected(self, admin):
        answer = admin.get("/api/v1/sites?name=x")

        assert (answer.status_code, answer["Location"]) == (301, "/api/v1/sites/?name=x")

    def test_a_write_without_the_slash_is_refused_not_turned_into_a_read(self, admin):
        assert problem(admin.post("/api/v1/sites", {"name": "x"})) == (404, "not_found")

    def test_only_json_is_answered(self, admin):
        assert admin.get(SITES, headers={"Accept": "text/html, */*;q=0.1"}).status_code == 200
        assert problem(admin.get(SITES, headers={"Accept": "text/html"})) == (406, "not_acceptable")

    @pytest.mark.parametrize("form", ["multipart/form-data; boundary=x", "text/xml", "image/png"])
    def test_only_json_is_read(self, admin, form):
        answer = admin.post(SITES, b"x", content_type=form)

        assert problem(answer) == (415, "unsupported_media_type")

    @pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'{"a": NaN}'])
    def test_what_is_not_json_is_a_400(self, admin, body):
        answer = admin.post(SITES, body, content_type="application/json")

        assert problem(answer) == (400, "parse_error")

    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
    def test_a_large_body_is_refused_before_it_is_read(self, admin, headers):
        body = b'{"name": "' + b"x" * MAX_BODY + b'"}'

        answer = admin.post(SITES, body, content_type="application/json", headers=headers)

        assert problem(answer) == (413, "body_too_large")

    def test_an_unknown_host_is_a_problem(self, admin):
        assert problem(admin.get(SITES, headers={"Host": "evil.example"})) == (400, "malformed")

    def test_a_statement_timeout_differs_from_an_unavailable_database(self):
        error = OperationalError("canceling statement due to statement timeout")
        error.__cause__ = QueryCanceled("canceling statement due to statement timeout")

        answer = problem_response(error, {})

        assert (answer.status_code, answer.data["code"]) == (503, "took_too_long")
        assert "statement" not in answer.data["detail"]


class TestTime:
    def test_a_slow_query_is_stopped_and_reported(self, acme, acme_admin, monkeypatch):
        class Slow(TenantView):
            permission_map = {"get": Permission.SELF}

            def get(self, request):
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(20)")

        monkeypatch.setattr(views, "STATEMENT_SECONDS", 1)
        request = APIRequestFactory().get("/")
        request.admission = Admission()  # AdmissionMiddleware does so
        force_authenticate(
            request, acme_admin, access_for_user(acme_admin, acme_admin.memberships.get().tenant_id)
        )

        answer = Slow.as_view()(request)
        request.admission.leave()

        assert (answer.status_code, answer.data["code"]) == (503, "took_too_long")

    def test_no_serving_role_has_a_statement_timeout_above_a_minute(self):
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")

            assert cursor.fetchone() == ("1min",)


class TestDeprecation:
    SINCE = datetime(2027, 1, 1, tzinfo=UTC)

    def test_it_is_in_every_response_with_its_sunset(self, acme, acme_admin):
        class Old(TenantViewSet):
            permission_map = {"list": Permission.SELF}
            deprecated = {"list": Deprecation(self.SINCE, self.SINCE + timedelta(days=400))}

            def list(self, request):
                raise OperationalError

        request = APIRequestFactory().get("/")
        answer = Old.as_view({"get": "list"})(request)

        assert answer.status_code == 401
        assert answer["Deprecation"] == "@1798761600"
        assert answer["Sunset"] == "Sat, 05 Feb 2028 00:00:00 GMT"

    def test_less_than_a_year_is_refused(self):
        with pytest.raises(ValueError, match="one year"):
            Deprecation(self.SINCE, self.SINCE + timedelta(days=364))


def test_every_path_ends_in_a_slash():
    rest = [path for path, _ in patterns(get_resolver()) if path.startswith("api/")]

    assert [path for path in rest if not path.removesuffix("$").endswith("/")] == []


def test_every_view_set_writes_through_services():
    """What DRF's mixins do by themselves, ``serializer.save()`` and ``row.delete()``, writes no audit record."""
    written = {
        f"{view.__name__}.{name}": getattr(view, name).__module__
        for view in {class_of(entry) for _, entry in REST}
        for name in ("perform_create", "perform_update", "perform_destroy")
        if hasattr(view, name)
    }

    assert "SiteViewSet.perform_create" in written
    assert [name for name, module in written.items() if module.startswith("rest_framework.")] == []
