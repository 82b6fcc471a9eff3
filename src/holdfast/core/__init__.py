"""The rules: values in, decisions out. No input, no output, no clock, no randomness."""
