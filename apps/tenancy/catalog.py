"""The closed list of global tables: rows that no tenant owns, and what the app role may do to them.

Everything else in the database is a tenant's table under forced row-level security. The catalog lint
compares this list with the database; adding a row here is a security decision.
"""

from types import MappingProxyType

READ = "SELECT"
READ_ADD = "SELECT, INSERT"
READ_REMOVE = "SELECT, DELETE"
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
        # Only the owner makes platform operators: what web and worker can do, an attacker in them can do.
        "accounts_platformoperator": READ,
        # The first installation: before there is any tenant. Who completed it is made a platform operator by the owner.
        "accounts_setup": READ_WRITE,
        # Which browsers a person is signed in with: before a tenant is known, and across tenants.
        "accounts_opensession": ALL,
        # In which browsers a person signed in before: read before anybody is signed in.
        "accounts_knownbrowser": ALL,
        # Beside allauth's passkeys: one person per credential, over all tenants.
        "accounts_passkeycredential": ALL,
        # django-allauth: a person's second factors (their secrets sealed by the vault) and the identities by which
        # they sign in. A person is global; so are these. Its other tables stay empty: e-mail addresses stand in
        # accounts_user, providers in the operator's settings, and no provider's token is kept.
        "mfa_authenticator": ALL,
        "socialaccount_socialaccount": ALL,
        "socialaccount_socialapp": READ,
        "socialaccount_socialtoken": READ_REMOVE,  # emptied along with an identity, though it is empty
        "account_emailaddress": READ,
        "account_emailconfirmation": READ,
        # Messages to send: which row to write from, no text and no secret. A password reset belongs to no tenant.
        "mail_message": ALL,
        # Which tenants have invited an address (its digest): read before the person works in any of them.
        "accounts_invitationaddress": ALL,
        "audit_platformrecord": READ_ADD,
        "audit_platformhead": READ_WRITE,
        "agents_certificate": READ_WRITE,
        # One authority for all tenants; its keys are sealed under a file that only the signer has.
        "agents_authority": READ_WRITE,
        # The signer answers all tenants; what is asked holds hashes and public keys.
        "agents_signingrequest": ALL,
        # Uptime of ingest: of the installation, not of a tenant.
        "ingest_uptime": READ_WRITE,
        "events_due": ALL,
        # The epoch of a restored database: of the installation. Only the owner changes it.
        "events_installation": READ,
        # Which processes run, with ids of keys and free space: of the installation, not of a tenant.
        "events_process": ALL,
        "vault_masterkey": READ_WRITE,
        "vault_platformkey": READ_WRITE,
        "vault_platformsecret": READ_WRITE,
        "auth_group": READ,
        "auth_group_permissions": READ,
        "auth_permission": READ,
        # django-guardian's own tables stay empty: grants are rows of tenants (see inventory.models.grants).
        "guardian_groupobjectpermission": READ,
        "guardian_userobjectpermission": READ,
        # The admin's own log stays empty: acts are written to the tenants' audit chains (see accounts.admin).
        "django_admin_log": READ,
        "django_content_type": READ,
        "django_migrations": READ,
        "django_session": ALL,
    }
)
