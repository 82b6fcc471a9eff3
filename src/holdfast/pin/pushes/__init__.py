"""What pipelines push: text of a pipeline in, pushes with verdicts out. Pure; knows no registry and no file system."""
