"""Which RouterOS the routers run: 7.18 and later say `!empty`, 7.20 would have BGP instances."""

VERSION = "7.19.4"
CHANNEL = "stable"
BUILD_TIME = "2025-07-29 10:11:40"
FACTORY_VERSION = "7.8"
