# The image of all processes of this project: the site of the documentation, then a build stage, then the runtime stage
# without build tools.
# To pin the base image, set its digest: docs/how-to/deploying.md, "The image".
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS guide
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements-docs.lock ./
RUN pip install --require-hashes --requirement requirements-docs.lock
COPY . ./
RUN python docs/site/build.py

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /build && python -m venv --without-pip /app
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN /build/bin/pip install --require-hashes --requirement requirements-build.lock \
 && /build/bin/pip --python /app/bin/python install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md Procfile ./
COPY cto_worker cto_worker
COPY api api
COPY clients/js/package.json clients/js/README.md clients/js/CHANGELOG.md clients/js/LICENSE clients/js/
COPY clients/js/src clients/js/src
COPY clients/js/types clients/js/types
COPY clients/js/declarations clients/js/declarations
COPY --from=guide /src/api/guide api/guide
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /build/bin/pip --python /app/bin/python install --no-deps /wheels/*.whl

FROM ${PYTHON_IMAGE}
# The base image has no bytecode of the standard library, and containers cannot write it: each start would compile it.
RUN groupadd --system --gid 10001 cto \
 && useradd --system --uid 10001 --gid 10001 --no-create-home cto \
 && python -m pip uninstall --yes --root-user-action ignore pip \
 && library="$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
 && rm -rf "$library/ensurepip" \
 && python -m compileall -q --invalidation-mode unchecked-hash -x '/(idlelib|lib2to3|turtledemo)/' "$library"
COPY --from=build /app /app
COPY --chmod=755 deploy/image/healthy /usr/local/bin/healthy
ENV PATH=/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /app
CMD ["python", "-m", "api.wsgi"]
