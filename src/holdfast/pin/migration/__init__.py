"""A repository's way off movable tags, as one change: pipelines, a pointer file, manifests, words for people. Pure."""
