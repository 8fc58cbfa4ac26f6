"""The admin itself: its addresses, and its door."""

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

#: Who answers for the whole tenant: admins, and auditors, who change nothing.
SITE_PERMISSION = Permission.AUDIT_VIEW

View = Callable[..., Any]


class TenantAdminSite(AdminSite):
    """Django's admin behind our own sign-in, in the tenant that the session is in.

    Nothing of Django's own permissions, log-in, log or shortcuts to other objects is used.
    """

    site_title = _("Administration")
    site_header = _("Administration")
    index_title = _("Administration")
    site_url = "/"
    enable_nav_sidebar = True
    final_catch_all_view = False

    def __init__(self) -> None:
        super().__init__(name="admin")
        # Many rows at once go by actions that call services.
        self.disable_action("delete_selected")

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether this person may enter."""
        access = getattr(request, "access", None)
        return access is not None and access.may(SITE_PERMISSION)

    def page(
        self,
        view: View,
        permission: Permission = SITE_PERMISSION,
        *,
        fresh_for: tuple[str, ...] = (),
    ) -> View:
        """A page of the admin, with the permission that it needs beside the door's.

        With a method of ``fresh_for`` it asks who is not lately proven to confirm first.
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
        """Pages of Django's that nobody gave a permission: the door's."""
        return self.page(view)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """The index, the apps, the rows; no log-in, no password, no redirects to objects."""
        labels = {model._meta.app_label for model in self._registry}  # noqa: SLF001  (Django's public spelling)
        return [
            path("", self.page(self.index), name="index"),
            path("autocomplete/", self.page(self.autocomplete_view), name="autocomplete"),
            path("jsi18n/", self.page(self.i18n_javascript), name="jsi18n"),
            *(
                path(
                    f"{model._meta.app_label}/{model._meta.model_name}/",  # noqa: SLF001
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
        """There is one sign-in page, and it is not here."""
        raise Forbidden


admin_site = TenantAdminSite()
