"""Which repositories a code base creates, and whether their tags hold. Pure; text in, creations out."""
