"""How a member looks at lists: what pages show of it, and the forms that change it."""

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
    """A filter with the name that its member gave it."""

    name: str
    query: str
    is_chosen: bool


@dataclass(frozen=True)
class ListTools:
    """A list as one member looks at it."""

    page: str
    #: That can be hidden: all but the first.
    columns: tuple[Column, ...]
    #: For templates, which ask by key.
    hidden: Mapping[str, bool]
    views: tuple[SavedView, ...]
    #: The filter on the screen, as a view would keep it.
    query: str
    is_kept: bool
    can_keep: bool


def list_tools(
    access: Access, page: ListPage, query: str, columns: Sequence[Column] = ()
) -> ListTools:
    """One query."""
    access = member_access(access)
    setting, query = lists.list_setting(access, page), lists.kept_query(query)
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
        is_kept=any(view.is_chosen for view in views),
        can_keep=access.break_glass is None,
    )


@require_POST
@requires(Permission.SELF)
def columns(request: HttpRequest) -> HttpResponse:
    """Hide the columns that are not ticked."""
    offered, ticked = request.POST.getlist("offered"), set(request.POST.getlist("shown"))
    hidden = [key for key in offered[: lists.MOST_COLUMNS + 1] if key not in ticked]
    lists.hide_columns(access=member_access(access_of(request)), page=_page(request), hidden=hidden)
    return _back(request)


@require_POST
@requires(Permission.SELF)
def save_view(request: HttpRequest) -> HttpResponse:
    """Give the filter on the screen a name."""
    lists.save_view(
        access=member_access(access_of(request)),
        page=_page(request),
        name=request.POST.get("name", ""),
        query=request.POST.get("query", ""),
    )
    return _back(request)


@require_POST
@requires(Permission.SELF)
def forget_view(request: HttpRequest) -> HttpResponse:
    """Forget a named filter."""
    name = request.POST.get("name", "")
    lists.forget_view(access=member_access(access_of(request)), page=_page(request), name=name)
    return _back(request)


def _page(request: HttpRequest) -> ListPage:
    asked = request.POST.get("page", "")
    if asked not in ListPage.values:
        raise ListRefused(message="There is no such list.")
    return ListPage(asked)


def _back(request: HttpRequest) -> HttpResponse:
    """To the list."""
    back = request.POST.get("next", "")
    is_ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if is_ours else "/")
