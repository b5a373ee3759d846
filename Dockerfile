# The service as a container: two stages, a user without rights, a root file system that may be read-only.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv /app && /app/bin/pip install --no-cache-dir ".[serve,postgres,heic,provenance,video]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin deepfake \
    && install -d -o deepfake -g deepfake -m 0700 /data
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    DEEPFAKE_HOST=0.0.0.0 DEEPFAKE_FOLDER=/data
# Without DEEPFAKE_ALLOWED_HOSTS, a key, and TLS (or DEEPFAKE_PLAIN_HTTP=true) it does not start; see docs/http.md.
USER deepfake
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000), 5)"]
ENTRYPOINT ["deepfake"]
CMD ["serve"]
