"""The signer's key file and the ingest listener's certificate."""

import os

from ispvm.settings.env import Reader

env = Reader(os.environ)

# Only the signer has it: see docs/adr/0008-separate-signer-process.md.
ISPVM_CA_KEY_FILE = env.text("ISPVM_CA_KEY_FILE")
# Certificate files renewed by the ingest processes; empty: provided from outside.
ISPVM_INGEST_TLS_FOLDER = env.text("ISPVM_INGEST_TLS_FOLDER")
# Per address and ingest process: connections without a client certificate.
ISPVM_INGEST_ADDRESS_CONNECTIONS = env.whole("ISPVM_INGEST_ADDRESS_CONNECTIONS", default=64)
