"""What is wrong in images: reports of scanners, read."""
