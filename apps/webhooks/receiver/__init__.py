"""A small receiver of webhooks: checks, prints and logs each event. Standard library only.

It shares no code with the sender, so that it can catch the sender's mistakes.
"""
