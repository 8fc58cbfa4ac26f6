from django.urls import path

from apps.accounts.web import (
    access_sessions,
    account,
    audit,
    confirm,
    identities,
    invitations,
    lists,
    password_reset,
    second_factor,
    setup,
    sign_in,
    tenants,
)

app_name = "accounts"

urlpatterns = [
    path("setup/", setup.setup, name="setup"),
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-in/code/", sign_in.code, name="code"),
    path("sign-in/passkey/", sign_in.passkey, name="passkey"),
    path("sign-in/passkey/options/", sign_in.passkey_challenge, name="passkey-challenge"),
    path("sign-in/reset/", password_reset.request_reset, name="request-reset"),
    path("sign-in/reset/set/", password_reset.reset, name="reset"),
    path("sign-in/with/<slug:slug>/", identities.begin_login, name="provider-login"),
    path(
        "sign-in/with/<slug:slug>/callback/", identities.handle_callback, name="provider-callback"
    ),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("invitation/", invitations.invitation, name="invitation"),
    path("tenants/", tenants.tenants, name="tenants"),
    path("tenants/invitations/<uuid:pk>/accept/", invitations.accept, name="accept-invitation"),
    path("tenants/invitations/<uuid:pk>/decline/", invitations.decline, name="decline-invitation"),
    path("tenants/choose/", tenants.choose, name="choose-tenant"),
    path("tenants/open/", tenants.open_tenant, name="open-tenant"),
    path("tenants/exit/", tenants.exit_tenant, name="exit-tenant"),
    path("access-sessions/", access_sessions.access_sessions, name="access-sessions"),
    path("audit/", audit.audit, name="audit"),
    path("audit/verify/", audit.verify, name="verify-audit"),
    path("lists/columns/", lists.columns, name="hide-columns"),
    path("lists/views/", lists.save_view, name="save-view"),
    path("lists/views/delete/", lists.delete_view, name="delete-view"),
    path("account/", account.account, name="account"),
    path("account/second-factor/", second_factor.second_factor_page, name="second-factor"),
    path("account/confirm/", confirm.confirm, name="confirm"),
    path("account/confirm/passkey/", confirm.passkey, name="confirm-passkey"),
    path(
        "account/confirm/passkey/options/",
        confirm.passkey_challenge,
        name="confirm-passkey-challenge",
    ),
    path("account/password/", account.change_password, name="change-password"),
    path("account/authenticator/", account.authenticator, name="authenticator"),
    path(
        "account/authenticator/remove/", account.remove_authenticator, name="remove-authenticator"
    ),
    path("account/recovery-codes/", account.recovery_codes, name="recovery-codes"),
    path("account/passkeys/", account.add_passkey, name="add-passkey"),
    path(
        "account/passkeys/options/",
        account.passkey_registration_options,
        name="passkey-registration-options",
    ),
    path("account/passkeys/<int:pk>/remove/", account.remove_passkey, name="remove-passkey"),
    path("account/sessions/end-others/", account.end_other_sessions, name="end-other-sessions"),
    path("account/sessions/<uuid:pk>/end/", account.end_session, name="end-session"),
    path("account/identities/<slug:slug>/link/", identities.begin_link, name="link"),
    path("account/identities/<int:pk>/unlink/", identities.unlink, name="unlink"),
    path("account/tokens/", account.create_token, name="create-token"),
    path("account/tokens/<uuid:pk>/revoke/", account.revoke_token, name="revoke-token"),
]
