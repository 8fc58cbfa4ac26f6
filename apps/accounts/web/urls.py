from django.urls import path

from apps.accounts.web import invitations, tenants, views

app_name = "accounts"

urlpatterns = [
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("invitation/", invitations.invitation, name="invitation"),
    path("tenants/", tenants.tenants, name="tenants"),
    path("tenants/choose/", tenants.choose, name="choose-tenant"),
    path("tenants/enter/", tenants.enter, name="enter-tenant"),
    path("tenants/leave/", tenants.leave, name="leave-tenant"),
]
