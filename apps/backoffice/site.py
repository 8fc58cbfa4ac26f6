"""The admin site: URLs and access."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from apps.authorization.freshness import require_fresh
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.core.errors import Forbidden
from apps.pages.decorators import enter

#: Required for every page of the admin: admins have it, and auditors, who change nothing.
SITE_PERMISSION = Permission.AUDIT_VIEW

View = Callable[..., Any]


class TenantAdminSite(AdminSite):
    """Django's admin in the tenant of the session, behind our sign-in.

    Django's own permissions, log-in, action log and shortcuts are not used.
    """

    site_title = _("Administration")
    site_header = _("Administration")
    index_title = _("Administration")
    site_url = "/"
    enable_nav_sidebar = True
    final_catch_all_view = False

    def __init__(self) -> None:
        super().__init__(name="admin")
        # Bulk changes are actions that call services.
        self.disable_action("delete_selected")

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the user may use the admin."""
        access = getattr(request, "access", None)
        return access is not None and access.may(SITE_PERMISSION)

    def page(
        self,
        view: View,
        permission: Permission = SITE_PERMISSION,
        *,
        fresh_for: tuple[str, ...] = (),
    ) -> View:
        """A page of the admin, with the permission that it needs beside ``SITE_PERMISSION``.

        Methods in ``fresh_for`` need recent authentication.
        """

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            enter(request, SITE_PERMISSION)
            enter(request, permission)
            if request.method in fresh_for:
                require_fresh(request.session, clock.now())
            try:
                return view(request, *args, **kwargs)
            except PermissionDenied as error:
                raise Forbidden from error

        guarded.page_permission = permission  # type: ignore[attr-defined]  # the access table reads it
        return never_cache(csrf_protect(guarded))

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Django's own pages need ``SITE_PERMISSION`` alone."""
        return self.page(view)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Index, app lists and model admins; no log-in, password or redirect pages."""
        labels = {model._meta.app_label for model in self._registry}
        return [
            path("", self.page(self.index), name="index"),
            path("autocomplete/", self.page(self.autocomplete_view), name="autocomplete"),
            path("jsi18n/", self.page(self.i18n_javascript), name="jsi18n"),
            *(
                path(
                    f"{model._meta.app_label}/{model._meta.model_name}/",
                    include(model_admin.urls),
                )
                for model, model_admin in self._registry.items()
            ),
            re_path(
                rf"^(?P<app_label>{'|'.join(sorted(labels))})/$",
                self.page(self.app_index),
                name="app_list",
            ),
        ]

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Sign-in is a page of accounts."""
        raise Forbidden


admin_site = TenantAdminSite()
