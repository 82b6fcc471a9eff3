"""The protocols: wire in, use case, wire out. They hold no policy and no SQL."""
