# The front, the migrations and the keys: small, without torch. Build from the repository's root:
#   docker build --file deploy/api.Dockerfile --tag tsukiji-api .
ARG PYTHON_IMAGE=python:3.12-slim
FROM ${PYTHON_IMAGE} AS packages
RUN pip install --no-cache-dir uv
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv venv /opt/venv && \
    uv pip install --python /opt/venv/bin/python --link-mode copy --compile-bytecode \
        --constraint constraints.txt --requirements pyproject.toml --extra service --extra api --extra s3 --extra otel

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tsukiji && \
    install --directory --owner tsukiji --group tsukiji /data /cache
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY tsukiji tsukiji
COPY db db
COPY api api
COPY docs docs
# Uploads on their way are too large for a /tmp in memory, hence TMPDIR.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    TMPDIR=/cache \
    TSUKIJI_DATA_DIR=/data \
    TSUKIJI_STORAGE_CACHE_DIR=/cache \
    TSUKIJI_API_HOST=0.0.0.0 \
    TSUKIJI_API_PROXIES='["127.0.0.0/8","10.0.0.0/8","172.16.0.0/12","192.168.0.0/16","fd00::/8"]'
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "api"]
