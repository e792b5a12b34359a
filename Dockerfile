# The image of every process of ours. First a stage in which things are built, then what runs, with no tools in it.
FROM python:3.13-slim AS build
RUN python -m venv /app
ENV PATH=/app/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.lock .
RUN pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md Procfile ./
COPY cto_worker cto_worker
COPY api api
COPY clients/js/src clients/js/src
RUN pip install --no-deps --no-build-isolation . && pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home cto
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
WORKDIR /app
CMD ["python", "-m", "api.wsgi"]
