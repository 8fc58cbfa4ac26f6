"""The list of global tables (without a tenant), with the privileges of the app role.

Every other table is a tenant table under forced row-level security. The catalog lint compares this list
with the database; adding a table here is a security decision.
"""

from types import MappingProxyType

READ = "SELECT"
READ_INSERT = "SELECT, INSERT"
READ_DELETE = "SELECT, DELETE"
READ_WRITE = "SELECT, INSERT, UPDATE"
ALL = "SELECT, INSERT, UPDATE, DELETE"

GLOBAL_TABLES = MappingProxyType(
    {
        "tenancy_tenant": READ_WRITE,
        "accounts_user": READ_WRITE,
        "accounts_user_groups": READ,
        "accounts_user_user_permissions": READ,
        "accounts_membership": ALL,
        "accounts_apitoken": READ_WRITE,
        # Only the owner's role creates platform operators, so that a compromised web or worker process cannot.
        "accounts_platformoperator": READ,
        # The first installation, before there is any tenant. The owner's role makes its user a platform operator.
        "accounts_setup": READ_WRITE,
        # Sessions of a user: read before the tenant is known, and across tenants.
        "accounts_opensession": ALL,
        # Known browsers of a user: read before sign-in.
        "accounts_knownbrowser": ALL,
        # In addition to allauth's passkeys: one user per credential, over all tenants.
        "accounts_passkeycredential": ALL,
        # django-allauth: second factors of a user (secrets encrypted by the vault) and external identities. Users
        # are global; so are these. Its other tables stay empty: e-mail addresses are in accounts_user, providers
        # in the operator's settings, and provider tokens are not stored.
        "mfa_authenticator": ALL,
        "socialaccount_socialaccount": ALL,
        "socialaccount_socialapp": READ,
        "socialaccount_socialtoken": READ_DELETE,  # allauth deletes from it together with an identity
        "account_emailaddress": READ,
        "account_emailconfirmation": READ,
        # Outgoing mail: references to rows, without text or secrets. A password reset belongs to no tenant.
        "mail_message": ALL,
        # Tenants that invited an address (its digest): read before the user is a member of any of them.
        "accounts_invitationaddress": ALL,
        "audit_platformrecord": READ_INSERT,
        "audit_platformhead": READ_WRITE,
        "agents_certificate": READ_WRITE,
        # One authority for all tenants; its keys are encrypted with a key file that only the signer has.
        "agents_authority": READ_WRITE,
        # The signer serves all tenants; requests contain hashes and public keys only.
        "agents_signingrequest": ALL,
        # Uptime of ingest: of the installation, not of a tenant.
        "ingest_uptime": READ_WRITE,
        "events_due": ALL,
        # The epoch of a restored database: of the installation. Only the owner changes it.
        "events_installation": READ,
        # Running processes, with key ids and free space: of the installation, not of a tenant.
        "events_process": ALL,
        "vault_masterkey": READ_WRITE,
        "vault_platformkey": READ_WRITE,
        "vault_platformsecret": READ_WRITE,
        "auth_group": READ,
        "auth_group_permissions": READ,
        "auth_permission": READ,
        # django-guardian's own tables stay empty: grants are tenant rows (see inventory.models.grants).
        "guardian_groupobjectpermission": READ,
        "guardian_userobjectpermission": READ,
        # The admin's own log stays empty: actions are recorded in the tenants' audit chains.
        "django_admin_log": READ,
        "django_content_type": READ,
        "django_migrations": READ,
        "django_session": ALL,
    }
)
