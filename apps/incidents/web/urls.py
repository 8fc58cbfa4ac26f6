from django.urls import path

from apps.incidents.web import views

app_name = "incidents"

urlpatterns = [
    path("incidents/", views.queue, name="list"),
    path("incidents.csv", views.queue_csv_file, name="csv"),
    path("incidents/acknowledge/", views.acknowledge_many, name="acknowledge-many"),
    path("incidents/<uuid:incident_id>/", views.detail, name="detail"),
    path("incidents/<uuid:incident_id>/series/", views.series, name="series"),
    path("incidents/<uuid:incident_id>/impact-graph/", views.impact, name="impact-graph"),
    path("incidents/<uuid:incident_id>/assign/", views.assign, name="assign"),
    path("incidents/<uuid:incident_id>/close/", views.close, name="close"),
    path("incidents/<uuid:incident_id>/acknowledge/", views.acknowledge, name="acknowledge"),
    path("incidents/<uuid:incident_id>/notes/", views.note, name="note"),
]
