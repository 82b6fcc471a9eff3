"""One module for each format of file: text in, mentions out."""
