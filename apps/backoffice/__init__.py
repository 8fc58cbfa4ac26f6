"""Django admin inside one tenant: the site, the base class of every model admin, the audit log.

Apps register their models with ``admin`` in their own ``admin`` module, on ``TenantAdmin``.
"""
