"""A member's personal list settings: hidden columns and saved views."""

import re
from collections.abc import Collection
from urllib.parse import parse_qsl, urlencode

from django.db import transaction

from apps.accounts.access import MemberAccess
from apps.accounts.choices import ListPage
from apps.accounts.errors import ListRefused
from apps.accounts.models import ListSetting

MAX_VIEWS = 20
MAX_NAME_LENGTH, MAX_QUERY_LENGTH, MAX_COLUMNS = 60, 500, 40
#: Query parameters of the position in a list, which are not saved in a view.
POSITION_PARAMS = frozenset({"page", "after"})


def list_setting(access: MemberAccess, page: ListPage) -> ListSetting:
    """This member's settings of a list; an unsaved default if there are none. One query."""
    row = ListSetting.objects.filter(user=access.user, page=page).first()
    return row or ListSetting(user=access.user, page=page)


def hide_columns(*, access: MemberAccess, page: ListPage, hidden: Collection[str]) -> None:
    """Hide exactly these columns. Idempotent. Raises ListRefused."""
    if len(hidden) > MAX_COLUMNS or any(not re.fullmatch(r"[a-z_]{1,20}", key) for key in hidden):
        raise ListRefused(message="These columns do not exist.")
    with transaction.atomic():
        row = _locked(access, page)
        row.hidden = sorted(set(hidden))
        row.save(update_fields=["hidden"])


def save_view(*, access: MemberAccess, page: ListPage, name: str, query: str) -> None:
    """Save a filter under a name, replacing a view of this name. Raises ListRefused. Locks: the settings row."""
    name = " ".join(name.replace("\x00", "").split())
    query = view_query(query)
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        raise ListRefused(message=f"A view's name has 1 to {MAX_NAME_LENGTH} characters.")
    if len(query) > MAX_QUERY_LENGTH:
        raise ListRefused(message="This filter is too long to be saved.")
    with transaction.atomic():
        row = _locked(access, page)
        others = [view for view in row.views if view["name"] != name]
        if len(others) >= MAX_VIEWS:
            raise ListRefused(
                message=f"A list has at most {MAX_VIEWS} saved views. Delete one first."
            )
        row.views = [*others, {"name": name, "query": query}]
        row.save(update_fields=["views"])


def delete_view(*, access: MemberAccess, page: ListPage, name: str) -> None:
    """Delete a saved view. Idempotent."""
    with transaction.atomic():
        row = _locked(access, page)
        row.views = [view for view in row.views if view["name"] != name]
        row.save(update_fields=["views"])


def view_query(query: str) -> str:
    """The part of a query string that is saved in a view: filter and ordering, without the position in the list."""
    pairs = parse_qsl(query.replace("\x00", ""), max_num_fields=20) if len(query) < 4_000 else []  # noqa: PLR2004
    return urlencode([(name, value) for name, value in pairs if name not in POSITION_PARAMS])


def _locked(access: MemberAccess, page: ListPage) -> ListSetting:
    if access.break_glass is not None:
        raise ListRefused(message="List settings cannot be changed in an access session.")
    ListSetting.objects.bulk_create(
        [ListSetting(user=access.user, page=page)], ignore_conflicts=True
    )
    return ListSetting.objects.select_for_update().get(user=access.user, page=page)
