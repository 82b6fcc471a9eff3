"""Fuzzing: one target for each parser, and an engine that is guided by which lines an input reaches."""
