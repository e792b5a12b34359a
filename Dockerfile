FROM python:3.13-slim
WORKDIR /app
COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md Procfile ./
COPY cto_worker cto_worker
COPY api api
COPY clients/js/src clients/js/src
RUN pip install --no-cache-dir --no-deps --no-build-isolation . && useradd --system cto
USER cto
CMD ["python", "-m", "api.wsgi"]
