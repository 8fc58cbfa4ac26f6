"""The base class of every model admin."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, cast
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from apps.audit.models import Record
from apps.authorization.access import Access
from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.authorization.requests import TenantHttpRequest
from apps.backoffice.paging import CappedPaginator, SearchedPaginator
from apps.core import clock
from apps.core.errors import DomainError, Forbidden, NotVisible

MAX_RECORDS = 200


def access_of(request: HttpRequest) -> Access:
    """The access of the request. Raises Forbidden without one."""
    access = cast(TenantHttpRequest, request).access
    if access is None:
        raise Forbidden
    return access


class AdminForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only for checkers
    """A form that shows the refusal of its service beside the field."""

    #: Set when the service refused the change.
    refusal: ClassVar[DomainError | ValidationError | None] = None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if isinstance(self.refusal, ValidationError):
            known = getattr(self.refusal, "error_dict", {})
            for name, errors in known.items():
                self.add_error(name if name in self.fields else None, errors)
            if not known:
                self.add_error(None, self.refusal)
        elif self.refusal is not None:
            fields = [name for name in self.refusal.context if name in self.fields]
            self.add_error(fields[0] if fields else None, self.refusal.message)
        return cleaned


class TenantAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only for checkers
    """Rows of one model in the current tenant. Permissions come from the role table, changes go through services.

    A subclass declares what is possible (``can_add`` ...) and implements ``create``, ``change``, ``remove``.
    """

    view_permission: ClassVar[Permission]
    manage_permission: ClassVar[Permission | None] = None
    can_add: ClassVar[bool] = False
    can_change: ClassVar[bool] = False
    can_delete: ClassVar[bool] = False
    #: Whether a change touches secrets, keys or roles and so needs recent authentication.
    fresh_sign_in: ClassVar[bool] = False
    #: Entity type in the audit log.
    entity_type: ClassVar[str] = ""
    #: URL converter of the primary key.
    key: ClassVar[str] = "uuid"
    #: Form fields that are never shown: secrets.
    write_only: ClassVar[tuple[str, ...]] = ()
    add_fields: ClassVar[tuple[str, ...]] = ()

    form = AdminForm
    paginator = CappedPaginator
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    view_on_site = False
    change_form_template = "admin/tenant_change_form.html"

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> models.Model:
        """Create a row through its service."""
        raise NotImplementedError

    def change(self, row: Any, changes: Mapping[str, Any], *, actor: Actor, at: datetime) -> Any:
        """Change a row through its service."""
        raise NotImplementedError

    def remove(self, row: Any, *, actor: Actor, at: datetime) -> None:
        """Remove a row through its service."""
        raise NotImplementedError

    def deleted_with(self, row: Any) -> list[str]:
        """What is deleted with a row, for the confirmation page."""
        return []

    def tenant_rows(self, access: Access) -> models.QuerySet[Any]:
        """Rows of the tenant, before the member's limit; global tables are filtered here."""
        rows: models.QuerySet[Any] = self.model._default_manager.all()
        return rows

    def _may(self, request: HttpRequest, permission: Permission | None) -> bool:
        return permission is not None and access_of(request).may(permission)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request, self.view_permission)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.view_permission)

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """For actions: ``permissions=["manage"]``."""
        return self._may(request, self.manage_permission)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.can_add and self.has_manage_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.can_change and self.has_manage_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.can_delete and self.has_manage_permission(request)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        access = access_of(request)
        rows = access.visible(self.tenant_rows(access), self.view_permission)
        ordering = self.get_ordering(request)
        return rows.order_by(*ordering) if ordering else rows

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **kwargs: Any
    ) -> Any:
        kind = SearchedPaginator if request.GET.get(SEARCH_VAR) else self.paginator
        return kind(queryset, per_page, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        label, name = self.opts.app_label, self.opts.model_name
        key = f"<{self.key}:object_id>"
        posts = ("POST",) if self.fresh_sign_in else ()
        # Recent authentication is required before the form is filled in.
        methods = ("GET", *posts) if self.fresh_sign_in else ()
        page = partial(self.admin_site.page, fresh_for=posts)  # type: ignore[attr-defined]  # always TenantAdminSite
        urls = [
            path(
                "",
                page(self.changelist_view, self.view_permission),
                name=f"{label}_{name}_changelist",
            ),
            path(
                f"{key}/change/",
                page(self.change_view, self.view_permission),
                name=f"{label}_{name}_change",
            ),
            path(
                f"{key}/history/",
                page(self.history_view, self.view_permission),
                name=f"{label}_{name}_history",
            ),
        ]
        if self.can_add:
            add = page(self.add_view, self.manage_permission, fresh_for=methods)
            urls.append(path("add/", add, name=f"{label}_{name}_add"))
        if self.can_delete:
            delete = page(self.delete_view, self.manage_permission, fresh_for=methods)
            urls.append(path(f"{key}/delete/", delete, name=f"{label}_{name}_delete"))
        return urls

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None and self.add_fields:
            return [(None, {"fields": self.add_fields})]
        found = super().get_fieldsets(request, obj)
        if self.has_change_permission(request, obj):
            return found
        return [
            (title, {**rest, "fields": [f for f in rest["fields"] if f not in self.write_only]})
            for title, rest in found
        ]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"refusal": getattr(request, "refusal", None)})

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Without the buttons that open related rows in a popup."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """With the plural name as title, instead of "Select ... to change"."""
        title = {"title": capfirst(self.opts.verbose_name_plural)}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def _get_obj_does_not_exist_redirect(
        self, request: Any, opts: Any, object_id: Any
    ) -> HttpResponse:
        raise NotVisible

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: Any = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        """A refusal of the service is shown in the form; nothing was changed."""
        key = str(object_id) if isinstance(object_id, UUID) else object_id
        try:
            with transaction.atomic():
                return super().changeform_view(request, key, form_url, extra_context)
        except (Forbidden, NotVisible):
            raise
        except (DomainError, ValidationError) as refusal:
            request.refusal = refusal  # type: ignore[attr-defined]  # for the form, see get_form
            return super().changeform_view(request, key, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actor, at = access_of(request).actor, clock.now()
        if not change:
            values = {name: form.cleaned_data[name] for name in form.fields}
            created = self.create(values, actor=actor, at=at)
            obj.__dict__.update(created.__dict__)
            return
        # The form has changed its own copy already; the service compares with the stored row.
        stored = self.get_queryset(request).get(pk=obj.pk)
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        if changes:
            self.change(stored, changes, actor=actor, at=at)

    def save_related(self, request: Any, form: Any, formsets: Any, change: Any) -> None:
        """Django saves no related rows."""

    def delete_view(self, request: HttpRequest, object_id: Any, extra_context: Any = None) -> Any:
        try:
            with transaction.atomic():
                return super().delete_view(request, str(object_id), extra_context)
        except (Forbidden, NotVisible):
            raise
        except DomainError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", object_id)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.remove(obj, actor=access_of(request).actor, at=clock.now())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """From ``deleted_with``: Django's own collector would read every related row."""
        return [line for row in objs for line in (str(row), *self.deleted_with(row))], {}, set(), []

    def apply_each(self, request: HttpRequest, rows: Iterable[Any], act: Any, done: str) -> None:
        """Call a service for each selected row; refusals are shown per row."""
        number = 0
        for row in rows:
            try:
                with transaction.atomic():
                    act(row, actor=access_of(request).actor, at=clock.now())
            except DomainError as refusal:
                self.message_user(request, f"{row}: {refusal.message}", messages.ERROR)
            else:
                number += 1
        if number:
            self.message_user(request, done % {"n": number}, messages.SUCCESS)

    def log_addition(self, request: Any, obj: Any, message: Any) -> Any:
        """The service has written the audit log."""

    def log_change(self, request: Any, obj: Any, message: Any) -> Any:
        """The service has written the audit log."""

    def log_deletions(self, request: Any, queryset: Any) -> Any:
        """The service has written the audit log."""

    def history_view(
        self, request: HttpRequest, object_id: Any, extra_context: Any = None
    ) -> HttpResponse:
        """Audit records of a row, newest first."""
        row = self.get_object(request, str(object_id))
        if row is None:
            raise NotVisible
        records = Record.objects.filter(
            entity_type=self.entity_type, entity_id=self.audited_id(row)
        ).order_by("-sequence")[:MAX_RECORDS]
        context = {
            **self.admin_site.each_context(request),
            "title": _("History of %(name)s") % {"name": row},
            "opts": self.opts,
            "original": row,
            "object": row,
            "records": records,
        }
        return TemplateResponse(request, "admin/tenant_history.html", context)

    def audited_id(self, row: Any) -> str:
        """The entity id of a row in the audit log."""
        return str(row.pk)
