"""A small receiver of webhooks: checks, prints and logs each event. Standard library only.

It shares no code with the sender, so that tests with it find mistakes of the sender.
"""
