from django.urls import path

from apps.console.web import maintenance, views

app_name = "console"

urlpatterns = [
    path("", views.home, name="home"),
    path("devices/", views.devices, name="devices"),
    path("devices/<uuid:device_id>/", views.device, name="device"),
    path("devices/<uuid:device_id>/series/", views.device_series, name="device-series"),
    path("devices.csv", views.devices_csv, name="devices-csv"),
    path("sites/", views.sites, name="sites"),
    path("sites/<uuid:site_id>/", views.site, name="site"),
    path("sites.csv", views.sites_csv, name="sites-csv"),
    path("alerts/", views.alerts, name="alerts"),
    path("alerts.csv", views.alerts_csv, name="alerts-csv"),
    path("maintenance/", maintenance.windows, name="maintenance"),
    path("maintenance/new/", maintenance.plan, name="plan"),
    path("maintenance/<uuid:window_id>/end/", maintenance.end, name="end-window"),
    path("map/", views.network_map, name="map"),
    path("map/data/", views.map_data, name="map-data"),
    path("topology/", views.topology, name="topology"),
    path("topology/data/", views.topology_data, name="topology-data"),
    path("search/", views.search, name="search"),
]
