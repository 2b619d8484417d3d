# The workers and the dispatcher. Build from the repository's root:
#   docker build --file deploy/worker.Dockerfile --tag tsukiji-worker:cpu .
#   docker build --file deploy/worker.Dockerfile --tag tsukiji-worker:cuda --build-arg TORCH=cuda .
#
# PYTHON_IMAGE  what it is built on; `make pin-images` names it by digest
# TORCH         cpu: PyTorch's own build for the CPU, a tenth of the size; cuda: the package index's stock build
# TORCH_INDEX   address of a mirror that has the build to take, where PyTorch's own index is out of reach
ARG PYTHON_IMAGE=python:3.12-slim
FROM ${PYTHON_IMAGE} AS packages
RUN pip install --no-cache-dir uv
ARG TORCH=cpu
ARG TORCH_INDEX=
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/uv \
    case "$TORCH:$TORCH_INDEX" in \
        cpu: ) build="--torch-backend cpu" ;; \
        cuda: ) build="" ;; \
        cpu:?* | cuda:?* ) build="--index $TORCH_INDEX --index-strategy unsafe-best-match" ;; \
        * ) echo "TORCH is cpu or cuda, not '$TORCH'" >&2; exit 1 ;; \
    esac && \
    uv venv /opt/venv && \
    uv pip install --python /opt/venv/bin/python --link-mode copy --compile-bytecode $build \
        --constraint constraints.txt --requirements pyproject.toml \
        --extra service --extra inference --extra training --extra export --extra s3 --extra otel

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tsukiji && \
    install --directory --owner tsukiji --group tsukiji /data /cache /weights
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY tsukiji tsukiji
COPY db db
COPY training training
COPY worker worker
# TMPDIR: archives on their way are too large for a /tmp in memory.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TORCH_HOME=/cache/torch \
    FASTAI_HOME=/cache/fastai \
    MPLCONFIGDIR=/tmp/matplotlib \
    TMPDIR=/cache \
    TSUKIJI_DATA_DIR=/data \
    TSUKIJI_STORAGE_CACHE_DIR=/cache \
    TSUKIJI_WEIGHTS_DIR=/weights
USER 10001:10001
CMD ["python", "-m", "worker", "train"]
