"""The files that name images: where they do so, whether that holds, and how a digest is put there. Pure; knows core."""
