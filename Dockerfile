# CPU:  docker build -t ppcjax .
# GPU:  docker build -t ppcjax:gpu --build-arg JAX="jax[cuda13]" .
#       docker run --rm --gpus all -v "$PWD:/work" ppcjax:gpu train --config ppc_shapes
# Without training, and smaller by more than half:  --build-arg EXTRAS=weights,photos
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS wheel
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:${PYTHON}-slim
# CUDA comes with JAX's own wheels; of the host only the driver is needed.
ARG JAX=jax
ARG EXTRAS=train,weights,photos
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)[${EXTRAS}]" "${JAX}" \
    && useradd --create-home --uid 1000 ppcjax \
    && install --directory --owner=ppcjax /work
USER 1000
# Photos and runs are mounted here; compiled programs and weights are kept in the home.
WORKDIR /work
ENTRYPOINT ["ppcjax"]
CMD ["--help"]
