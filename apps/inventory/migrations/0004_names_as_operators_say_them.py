import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0003_device_credentials"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="bgppeer",
            options={"verbose_name": "BGP peer", "verbose_name_plural": "BGP peers"},
        ),
        migrations.AlterModelOptions(
            name="ospfneighbor",
            options={"verbose_name": "OSPF neighbour", "verbose_name_plural": "OSPF neighbours"},
        ),
        migrations.AlterField(
            model_name="bgppeer",
            name="local_as",
            field=models.BigIntegerField(
                blank=True,
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(4294967295),
                ],
                verbose_name="local AS",
            ),
        ),
        migrations.AlterField(
            model_name="bgppeer",
            name="remote_as",
            field=models.BigIntegerField(
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(4294967295),
                ],
                verbose_name="remote AS",
            ),
        ),
        migrations.AlterField(
            model_name="device",
            name="api_port",
            field=models.PositiveIntegerField(
                default=8728,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(65535),
                ],
                verbose_name="API port",
            ),
        ),
        migrations.AlterField(
            model_name="device",
            name="api_tls",
            field=models.BooleanField(default=False, verbose_name="API TLS"),
        ),
        migrations.AlterField(
            model_name="interface",
            name="mac_address",
            field=models.CharField(
                blank=True, default="", max_length=17, verbose_name="MAC address"
            ),
        ),
        migrations.AlterField(
            model_name="interface",
            name="mtu",
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name="MTU"),
        ),
        migrations.AlterField(
            model_name="ospfneighbor",
            name="router_id",
            field=models.CharField(max_length=50, verbose_name="router ID"),
        ),
    ]
