from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("topology", "0001_topology"),
    ]

    operations = [
        migrations.AlterField(
            model_name="dependencygroup",
            name="dependent_type",
            field=models.CharField(
                choices=[
                    ("site", "Site"),
                    ("device", "Device"),
                    ("interface", "Interface"),
                    ("link", "Link"),
                    ("bgp_peer", "BGP peer"),
                    ("ospf_neighbor", "OSPF neighbor"),
                    ("service", "Service"),
                    ("probe_target", "Probe target"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="dependencymember",
            name="member_type",
            field=models.CharField(
                choices=[
                    ("site", "Site"),
                    ("device", "Device"),
                    ("interface", "Interface"),
                    ("link", "Link"),
                    ("bgp_peer", "BGP peer"),
                    ("ospf_neighbor", "OSPF neighbor"),
                    ("service", "Service"),
                    ("probe_target", "Probe target"),
                ],
                max_length=20,
            ),
        ),
    ]
