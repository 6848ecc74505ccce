# The image trainer: Python and PyTorch, for train jobs. Those do not exist yet, so nothing of mela is in it and it starts Python.
ARG BASE=pytorch/pytorch:2.10.0-cuda13.0-cudnn9-runtime
FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="mela-trainer" \
      org.opencontainers.image.description="Python and PyTorch for mela's train jobs" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN python3 -c 'import torch; print(torch.__version__, torch.version.cuda)'
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["python3"]
