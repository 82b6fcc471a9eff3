"""The tool beside the server: it works on Amazon ECR and on Holdfast alike, through their API alone."""
