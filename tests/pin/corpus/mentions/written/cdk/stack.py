from aws_cdk import aws_ecs as ecs

REDIS = "redis:7"


class Stack:
    def build(self, task, tag):
        # ecs.ContainerImage.from_registry("no/thing:1")
        task.add_container("web", image=ecs.ContainerImage.from_registry("nginx:latest"))
        task.add_container("redis", image=ecs.ContainerImage.from_registry(REDIS))
        task.add_container("own", image=ecs.ContainerImage.from_registry(f"acme/own:{tag}"))
