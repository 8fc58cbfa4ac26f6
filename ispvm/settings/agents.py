"""Who may sign agents, and where the ingest listener keeps its certificate."""

import os

from ispvm.settings.env import Reader

env = Reader(os.environ)

# The signer has it, and nobody else: see docs/adr/0008-the-signer.md.
ISPVM_CA_KEY_FILE = env.text("ISPVM_CA_KEY_FILE")
# Kept current by the ingest processes; empty: whoever starts them sees to it.
ISPVM_INGEST_TLS_FOLDER = env.text("ISPVM_INGEST_TLS_FOLDER")
# Per process of ingest, of connections that have shown no client certificate.
ISPVM_INGEST_ADDRESS_CONNECTIONS = env.whole("ISPVM_INGEST_ADDRESS_CONNECTIONS", default=64)
