#!/bin/sh
IMAGE=postgres:16
docker run -d "$IMAGE"
docker run --rm -e A=b alpine sh -c 'echo hi'
