"""Asking from the outside whether something answers: UDP echo and TCP connect."""
