"""Clients of any registry and of AWS's API."""
