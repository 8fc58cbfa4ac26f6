"""How a member looks at lists: hidden columns and named filters. Theirs alone."""

import re
from collections.abc import Collection
from urllib.parse import parse_qsl, urlencode

from django.db import transaction

from apps.accounts.access import MemberAccess
from apps.accounts.choices import ListPage
from apps.accounts.errors import ListRefused
from apps.accounts.models import ListSetting

MOST_VIEWS = 20
MOST_NAME, MOST_QUERY, MOST_COLUMNS = 60, 500, 40
#: Where in a list one stands is no part of a view.
PLACES = frozenset({"page", "after"})


def list_setting(access: MemberAccess, page: ListPage) -> ListSetting:
    """What this member has made of a list; an unsaved one when nothing. One query."""
    found = ListSetting.objects.filter(user=access.user, page=page).first()
    return found or ListSetting(user=access.user, page=page)


def hide_columns(*, access: MemberAccess, page: ListPage, hidden: Collection[str]) -> None:
    """Hide exactly these columns. Idempotent. Raises ListRefused."""
    if len(hidden) > MOST_COLUMNS or any(not re.fullmatch(r"[a-z_]{1,20}", key) for key in hidden):
        raise ListRefused(message="No list has such columns.")
    with transaction.atomic():
        row = _locked(access, page)
        row.hidden = sorted(set(hidden))
        row.save(update_fields=["hidden"])


def save_view(*, access: MemberAccess, page: ListPage, name: str, query: str) -> None:
    """Give a filter a name; a name that is taken means this filter from now on. Raises ListRefused. Locks the row."""
    name = " ".join(name.replace("\x00", "").split())
    query = kept_query(query)
    if not 0 < len(name) <= MOST_NAME:
        raise ListRefused(message=f"A view's name has 1 to {MOST_NAME} characters.")
    if len(query) > MOST_QUERY:
        raise ListRefused(message="This filter is too long to keep.")
    with transaction.atomic():
        row = _locked(access, page)
        others = [view for view in row.views if view["name"] != name]
        if len(others) >= MOST_VIEWS:
            raise ListRefused(message=f"{MOST_VIEWS} views are kept of a list. Forget one first.")
        row.views = [*others, {"name": name, "query": query}]
        row.save(update_fields=["views"])


def forget_view(*, access: MemberAccess, page: ListPage, name: str) -> None:
    """Forget a named filter. Idempotent."""
    with transaction.atomic():
        row = _locked(access, page)
        row.views = [view for view in row.views if view["name"] != name]
        row.save(update_fields=["views"])


def kept_query(query: str) -> str:
    """What of an address makes a view: its filter and order, not the place in the list."""
    pairs = parse_qsl(query.replace("\x00", ""), max_num_fields=20) if len(query) < 4_000 else []  # noqa: PLR2004
    return urlencode([(name, value) for name, value in pairs if name not in PLACES])


def _locked(access: MemberAccess, page: ListPage) -> ListSetting:
    if access.break_glass is not None:
        raise ListRefused(message="A stay in a tenant leaves nothing behind.")
    ListSetting.objects.bulk_create(
        [ListSetting(user=access.user, page=page)], ignore_conflicts=True
    )
    return ListSetting.objects.select_for_update().get(user=access.user, page=page)
