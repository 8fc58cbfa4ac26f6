"""A member's personal list settings on pages, and the forms that change them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apps.accounts import lists
from apps.accounts.access import member_access
from apps.accounts.choices import ListPage
from apps.accounts.errors import ListRefused
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.pages.decorators import access_of, requires
from apps.pages.ordering import Column


@dataclass(frozen=True)
class SavedView:
    """A saved view."""

    name: str
    query: str
    is_chosen: bool


@dataclass(frozen=True)
class ListTools:
    """The tools of a list: columns and saved views of the member."""

    page: str
    #: Columns that can be hidden: all but the first.
    columns: tuple[Column, ...]
    #: By key, for templates.
    hidden: Mapping[str, bool]
    views: tuple[SavedView, ...]
    #: The current filter, as it would be saved in a view.
    query: str
    is_saved: bool
    can_save: bool


def list_tools(
    access: Access, page: ListPage, query: str, columns: Sequence[Column] = ()
) -> ListTools:
    """One query."""
    access = member_access(access)
    setting, query = lists.list_setting(access, page), lists.view_query(query)
    can_hide = {column.key for column in columns[1:]}
    views = tuple(
        SavedView(view["name"], view["query"], view["query"] == query) for view in setting.views
    )
    return ListTools(
        page=page,
        columns=tuple(columns[1:]),
        hidden={key: True for key in setting.hidden if key in can_hide},
        views=views,
        query=query,
        is_saved=any(view.is_chosen for view in views),
        can_save=access.break_glass is None,
    )


@require_POST
@requires(Permission.SELF)
def columns(request: HttpRequest) -> HttpResponse:
    """Hide the columns that are not checked."""
    offered, shown = request.POST.getlist("offered"), set(request.POST.getlist("shown"))
    hidden = [key for key in offered[: lists.MAX_COLUMNS + 1] if key not in shown]
    lists.hide_columns(access=member_access(access_of(request)), page=_page(request), hidden=hidden)
    return _redirect_back(request)


@require_POST
@requires(Permission.SELF)
def save_view(request: HttpRequest) -> HttpResponse:
    """Save the current filter as a view."""
    lists.save_view(
        access=member_access(access_of(request)),
        page=_page(request),
        name=request.POST.get("name", ""),
        query=request.POST.get("query", ""),
    )
    return _redirect_back(request)


@require_POST
@requires(Permission.SELF)
def delete_view(request: HttpRequest) -> HttpResponse:
    """Delete a saved view."""
    name = request.POST.get("name", "")
    lists.delete_view(access=member_access(access_of(request)), page=_page(request), name=name)
    return _redirect_back(request)


def _page(request: HttpRequest) -> ListPage:
    page = request.POST.get("page", "")
    if page not in ListPage.values:
        raise ListRefused(message="This list does not exist.")
    return ListPage(page)


def _redirect_back(request: HttpRequest) -> HttpResponse:
    """Redirect to the list."""
    next_url = request.POST.get("next", "")
    is_safe = next_url.startswith("/") and url_has_allowed_host_and_scheme(
        next_url, allowed_hosts=None
    )
    return redirect(next_url if is_safe else "/")
