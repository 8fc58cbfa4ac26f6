"""URLs of pages and REST, collected from the apps."""

from importlib.util import find_spec

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, include, path
from django.views.i18n import set_language

from apps.backoffice.site import admin_site
from apps.core.health import livez, readyz
from apps.core.metrics.view import metrics
from apps.rest.schema_view import SchemaView, api_docs

# Agents use a listener of their own (ispvm.ingest_urls).
NOT_SERVED_HERE = frozenset({"apps.ingest"})


def _parts(prefix: str, module: str) -> list[URLPattern | URLResolver]:
    """The ``<app>.<module>`` URLconfs of the installed apps, lowest first."""
    return [
        path(prefix, include(f"{app}.{module}"))
        for app in settings.INSTALLED_APPS
        if app.startswith("apps.") and app not in NOT_SERVED_HERE and _exists(f"{app}.{module}")
    ]


def _exists(module: str) -> bool:
    package = find_spec(module.rpartition(".")[0])
    has_parts = package is not None and package.submodule_search_locations is not None
    return has_parts and find_spec(module) is not None


handler400 = "apps.core.web.malformed"
handler404 = "apps.core.web.not_found"
handler500 = "apps.core.web.server_error"

urlpatterns = [
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("language/", login_not_required(set_language), name="set_language"),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/docs/", api_docs, name="api-docs"),
    *_parts("api/v1/", "api.urls"),
    path("admin/", admin_site.urls),
    *_parts("", "web.urls"),
]
