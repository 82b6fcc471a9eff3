"""The registries that can be measured: how each is found or built, started, asked for its version, and stopped."""
