"""The gunicorn worker of ingest: a client occupies a thread only while its complete request is handled.

The main thread of each process does the TLS handshakes, and reads and writes all connections without blocking, each
step with a deadline. The thread pool gets complete requests and returns complete responses. See ADR 0012.
"""
