from django.urls import path

from apps.incidents.web import views

app_name = "incidents"

urlpatterns = [
    path("incidents/", views.queue, name="list"),
    path("incidents/<uuid:incident_id>/", views.detail, name="detail"),
    path("incidents/<uuid:incident_id>/acknowledge/", views.acknowledge, name="acknowledge"),
    path("incidents/<uuid:incident_id>/notes/", views.note, name="note"),
]
