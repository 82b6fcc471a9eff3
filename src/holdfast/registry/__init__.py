"""The use cases: who may, what happens, what is recorded."""
