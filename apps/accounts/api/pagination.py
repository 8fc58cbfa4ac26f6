"""Cursor paging of every list."""

from rest_framework.pagination import CursorPagination


class CursorPages(CursorPagination):
    """``?cursor=`` and ``?page_size=`` (at most 500)."""

    page_size = 100
    max_page_size = 500
    page_size_query_param = "page_size"
    ordering = "id"
