"""Holdfast: a container registry whose tags hold fast."""
