from django.urls import path

from apps.diagnostics.web import views

app_name = "diagnostics"

urlpatterns = [
    path(
        "devices/<uuid:device_id>/connection-test/", views.connection_test, name="connection-test"
    ),
]
