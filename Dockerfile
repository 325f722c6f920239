# Slim, non-root; models are fetched and verified while the image is built, so that runs can be --offline.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/corpusmill
COPY pyproject.toml constraints.txt README.md ./
COPY pipeline pipeline
COPY stages stages
COPY shards shards
RUN /opt/corpusmill/bin/pip install --no-cache-dir -c constraints.txt ".[s3]"
ENV CORPUSMILL_MODELS=/opt/corpusmill/models
RUN /opt/corpusmill/bin/corpusmill models get lid176 && /opt/corpusmill/bin/corpusmill models verify

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home corpusmill
COPY --from=build /opt/corpusmill /opt/corpusmill
ENV PATH=/opt/corpusmill/bin:$PATH \
    CORPUSMILL_MODELS=/opt/corpusmill/models \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONUNBUFFERED=1
WORKDIR /srv/corpusmill
COPY --chown=corpusmill configs configs
COPY --chown=corpusmill data_samples data_samples
RUN chown corpusmill /srv/corpusmill
USER corpusmill
# PID 1 must be corpusmill itself: it answers SIGTERM by committing and leaving with exit code 1.
ENTRYPOINT ["corpusmill"]
CMD ["run", "configs/web.yaml", "--offline"]
