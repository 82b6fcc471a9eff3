# The server in a container: built in one stage, run in another that has no compiler, no pip cache and no root.
#
#   docker build -t holdfast .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 5000:5000 -v holdfast:/data holdfast
#
# docs/operations.md says which settings a container needs.

ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
RUN python3 -m venv /opt/holdfast
COPY requirements/run.lock requirements/run.lock
RUN /opt/holdfast/bin/pip install --no-cache-dir --require-hashes -r requirements/run.lock
COPY pyproject.toml README.md ./
COPY src src
# The build's own tools are in the lock, so that nothing comes without a hash.
RUN /opt/holdfast/bin/pip install --no-cache-dir --no-build-isolation --no-deps . \
 && /opt/holdfast/bin/pip uninstall --yes --quiet hatchling editables pip \
 && find /opt/holdfast -name __pycache__ -prune -exec rm -rf {} + \
 && /opt/holdfast/bin/python3 -m compileall -q /opt/holdfast

FROM ${BASE}
LABEL org.opencontainers.image.title="Holdfast" \
      org.opencontainers.image.description="A container registry whose tags hold fast"
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
RUN groupadd --gid 10001 holdfast \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin holdfast \
 && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/holdfast /opt/holdfast
ENV PATH=/opt/holdfast/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOLDFAST_HOST=0.0.0.0 \
    HOLDFAST_PORT=5000 \
    HOLDFAST_DATA=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 5000
# The grace for running requests (shutdown_seconds, 30) is shorter than what Kubernetes and systemd give.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["holdfast", "ready"]
ENTRYPOINT ["holdfast"]
CMD ["serve"]
