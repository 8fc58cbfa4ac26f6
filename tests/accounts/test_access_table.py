"""Deny by default: every REST action and every page declares its permission, every page asks for a sign-in."""

import re
from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from apps.accounts.api.personal import PersonalViewSet
from apps.accounts.api.platform import PlatformViewSet
from apps.authorization.permissions import Permission, PersonalPermission, PlatformPermission
from apps.rest.views import TenantView

#: About the signed-in person alone, whatever tenant they are in, or none: no permission of a tenant decides on them.
PERSONAL_PAGES = {
    *("sign-out/", "tenants/", "tenants/choose/", "api/docs/"),
    # Of a platform operator: see test_break_glass.
    *("tenants/open/", "tenants/exit/"),
    # One's own invitations: see test_people.
    "tenants/invitations/<uuid:pk>/accept/",
    "tenants/invitations/<uuid:pk>/decline/",
}
#: Without a session: the sign-in page, the second factor, passkeys, login at identity providers and its callback.
SIGN_IN = {
    *("sign-in/", "sign-in/code/", "sign-in/passkey/", "sign-in/passkey/options/"),
    *("sign-in/reset/", "sign-in/reset/set/"),
    *("sign-in/with/<slug:slug>/", "sign-in/with/<slug:slug>/callback/"),
}
#: What anybody may see or set: nothing of a tenant.
PUBLIC_PAGES = {"livez", "readyz", "metrics", "language/", "invitation/", "setup/", *SIGN_IN}


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, path)
        else:
            yield path, entry


ALL = list(patterns(get_resolver()))
REST = [(path, entry) for path, entry in ALL if re.match("api/(v1|schema)/", path)]
PAGES = [pair for pair in ALL if pair not in REST]


def class_of(entry: URLPattern) -> type | None:
    """Behind the sign-in decorator of plain function views there is none."""
    return getattr(entry.callback, "cls", None) or getattr(entry.callback, "view_class", None)


def actions_of(entry: URLPattern) -> set[str]:
    callback = entry.callback
    mapped = getattr(callback, "actions", None)
    if mapped:
        return set(mapped.values())
    view = class_of(entry)
    return {name for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)}


def test_nothing_of_the_agents_listener_is_served_here():
    modules = {entry.callback.__module__ for _, entry in ALL}

    assert not any(module.startswith("apps.ingest") for module in modules)


def test_endpoints_were_found():
    assert len(REST) >= 30
    assert len(PAGES) >= len(PUBLIC_PAGES)


def test_no_library_serves_its_own_sign_in():
    """Sign-in is limited, audited and has its second step: a library's own page would have none of that."""
    modules = {entry.callback.__module__.split(".")[0] for _, entry in ALL}
    of_routers = re.compile(r"(api/v1/\^)?devices/|logins/")
    foreign_views = {
        path
        for path, _ in ALL
        if re.search(r"log-?in|sign-?up|password_", path) and not of_routers.match(path)
    }

    assert "allauth" not in modules
    assert foreign_views == set()


@pytest.mark.parametrize(("path", "entry"), REST, ids=[path for path, _ in REST])
def test_every_rest_action_declares_its_permission(path, entry):
    view = class_of(entry)

    assert view is not None, "a REST endpoint is a class that declares its permissions"
    assert issubclass(view, TenantView | PlatformViewSet | PersonalViewSet)
    undeclared = actions_of(entry) - view.permission_map.keys()
    assert undeclared == set()
    kind = {TenantView: Permission, PlatformViewSet: PlatformPermission}.get(
        next((c for c in view.__mro__ if c in {TenantView, PlatformViewSet}), PersonalViewSet),
        PersonalPermission,
    )
    assert all(isinstance(p, kind) for p in view.permission_map.values())


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "entry"), PAGES, ids=[path for path, _ in PAGES])
def test_every_page_except_the_listed_requires_sign_in(path, entry):
    is_public = not getattr(entry.callback, "login_required", True)

    assert is_public == (path in PUBLIC_PAGES)


@pytest.mark.parametrize(("path", "entry"), PAGES, ids=[path for path, _ in PAGES])
def test_every_page_declares_its_permission(path, entry):
    declared = getattr(entry.callback, "page_permission", None)

    if path in PUBLIC_PAGES | PERSONAL_PAGES or path.startswith("account/"):
        assert declared is None
    else:
        assert isinstance(declared, Permission), (
            "@requires(Permission...), see apps.pages.decorators"
        )
