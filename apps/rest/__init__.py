"""The REST framework of the platform: base views, problem documents, paging, filters, idempotency, OpenAPI."""
