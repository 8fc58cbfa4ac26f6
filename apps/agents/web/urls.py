from django.urls import path

from apps.agents.web import login_approvals, views

app_name = "agents"

urlpatterns = [
    path("agents/", views.agents, name="list"),
    path("agents/new/", views.new, name="new"),
    path("agents/<uuid:agent_id>/enroll/", views.enroll, name="enroll"),
    path("agents/<uuid:agent_id>/approve-host/", login_approvals.approve_host, name="approve-host"),
    path("logins/", login_approvals.login_approvals, name="logins"),
    path("logins/approve/", login_approvals.approve_selected, name="approve-logins"),
    path("devices/<uuid:device_id>/login/", login_approvals.device_login, name="device-login"),
    path(
        "devices/<uuid:device_id>/login/decide/", login_approvals.decide_login, name="decide-login"
    ),
    path("agents/<uuid:agent_id>/token/", views.issue, name="issue"),
]
