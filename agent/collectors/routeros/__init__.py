"""MikroTik routers over the RouterOS API, versions 6.43 and up."""
