from django.urls import path

from apps.incidents.web import views

app_name = "incidents"

urlpatterns = [
    path("incidents/", views.queue, name="list"),
    path("incidents.csv", views.queue_file, name="sheet"),
    path("incidents/acknowledge/", views.acknowledge_many, name="acknowledge-many"),
    path("incidents/<uuid:incident_id>/", views.detail, name="detail"),
    path("incidents/<uuid:incident_id>/series/", views.series, name="series"),
    path("incidents/<uuid:incident_id>/blast/", views.blast, name="blast"),
    path("incidents/<uuid:incident_id>/assign/", views.assign, name="assign"),
    path("incidents/<uuid:incident_id>/close/", views.close, name="close"),
    path("incidents/<uuid:incident_id>/acknowledge/", views.acknowledge, name="acknowledge"),
    path("incidents/<uuid:incident_id>/notes/", views.note, name="note"),
]
