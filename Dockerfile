# The package with the versions of constraints.txt, for the CPU:
#   docker build --tag project .
#   docker run --rm --volume "$PWD/logs:/app/logs" --user "$(id -u)" project python -m project.fit --optimizer SGD
# For an NVIDIA card, with a version of CUDA that its driver knows (all values: uv's --torch-backend):
#   docker build --tag project --build-arg TORCH_BACKEND=cu130 .
#   docker run --rm --gpus all --volume "$PWD/logs:/app/logs" --user "$(id -u)" project

FROM python:3.11-slim AS versions
# uv knows where PyTorch keeps its builds for each kind of device. pip would install the one for CUDA everywhere.
ARG TORCH_BACKEND=cpu
ENV UV_TORCH_BACKEND=$TORCH_BACKEND UV_NO_CACHE=1 UV_CONSTRAINT=constraints.txt
# hadolint ignore=DL3013
RUN pip install --no-cache-dir uv \
    && useradd --create-home --uid 1000 user && install --directory --owner 1000 /app
USER 1000
WORKDIR /app
ENV VIRTUAL_ENV=/app/.venv PATH=/app/.venv/bin:$PATH
# The versions come before the code, so that a change of the code does not install them again.
COPY pyproject.toml constraints.txt ./
RUN python -m venv .venv \
    && uv pip install setuptools --requirement pyproject.toml --extra all

# For .devcontainer: with what the checks need; the code is the one on your disk.
FROM versions AS dev
USER 0
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
USER 1000
RUN uv pip install --requirement pyproject.toml --extra dev

FROM python:3.11-slim
RUN useradd --create-home --uid 1000 user && install --directory --owner 1000 /app
USER 1000
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib
COPY --from=versions --chown=1000 /app/.venv .venv
COPY --chown=1000 . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .
CMD ["python", "-m", "project.fit"]
