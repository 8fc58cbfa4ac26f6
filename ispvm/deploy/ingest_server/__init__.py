"""The gunicorn worker of ingest: a client holds a thread only while its complete request is worked on.

The main thread of each process does the TLS handshakes and reads and writes all connections without blocking, each step
with a deadline. The thread pool sees complete requests and leaves complete responses. ADR 0012 says why.
"""
