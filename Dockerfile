# docker build -t dit4sr .
# docker run --rm --network none --user "$(id -u)" -v "$PWD:/data" dit4sr upscale photo.jpg
FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY constraints.txt /tmp/constraints.txt
# PyTorch by itself first: its default build for Linux carries 4 GB of CUDA.
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" -c /tmp/constraints.txt torch
COPY --from=build /wheel /tmp/wheel
RUN pip install --no-cache-dir -c /tmp/constraints.txt /tmp/wheel/*.whl && rm -r /tmp/wheel

# Whoever --user names can write there, too.
RUN useradd --create-home --uid 1000 dit4sr && mkdir -m 1777 /data /models
USER 1000
# Models and caches; mount a volume to keep them. Nothing is fetched unless `models pull` is asked to.
ENV DIT4SR_HOME=/models
WORKDIR /data
ENTRYPOINT ["dit4sr"]
CMD ["--help"]
