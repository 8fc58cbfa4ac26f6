from django.urls import path

from apps.accounts.web import (
    account,
    audit,
    confirm,
    identities,
    invitations,
    lists,
    second_factor,
    setup,
    tenants,
    views,
    visits,
)

app_name = "accounts"

urlpatterns = [
    path("setup/", setup.setup, name="setup"),
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-in/code/", views.code, name="code"),
    path("sign-in/passkey/", views.passkey, name="passkey"),
    path("sign-in/passkey/options/", views.passkey_challenge, name="passkey-challenge"),
    path("sign-in/with/<slug:slug>/", identities.set_out, name="provider"),
    path("sign-in/with/<slug:slug>/back/", identities.come_back, name="provider-back"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("invitation/", invitations.invitation, name="invitation"),
    path("tenants/", tenants.tenants, name="tenants"),
    path("tenants/choose/", tenants.choose, name="choose-tenant"),
    path("tenants/enter/", tenants.enter, name="enter-tenant"),
    path("tenants/leave/", tenants.leave, name="leave-tenant"),
    path("visits/", visits.visits, name="visits"),
    path("audit/", audit.audit, name="audit"),
    path("audit/verify/", audit.verify, name="verify-audit"),
    path("lists/columns/", lists.columns, name="hide-columns"),
    path("lists/views/", lists.save_view, name="save-view"),
    path("lists/views/forget/", lists.forget_view, name="forget-view"),
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
    path("account/passkeys/options/", account.passkey_offer, name="passkey-offer"),
    path("account/passkeys/<int:pk>/remove/", account.remove_passkey, name="remove-passkey"),
    path("account/sessions/end-others/", account.end_other_sessions, name="end-other-sessions"),
    path("account/sessions/<uuid:pk>/end/", account.end_session, name="end-session"),
    path("account/identities/<slug:slug>/link/", identities.begin_link, name="link"),
    path("account/identities/<int:pk>/unlink/", identities.unlink, name="unlink"),
    path("account/tokens/", account.make_token, name="make-token"),
    path("account/tokens/<uuid:pk>/revoke/", account.revoke_token, name="revoke-token"),
]
