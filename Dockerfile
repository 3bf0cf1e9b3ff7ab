# GenreKit in a container. In the folder of the repository:
#
#   docker build -t genrekit --build-arg TORCH_INDEX_URL=... .
#
# It is here, and not in deploy/, because a Hugging Face Space builds what lies at the top.
#
# TORCH_INDEX_URL is the address that PyTorch's website gives after --index-url in its command for
# Linux, pip and CPU. Without it pip would fetch the build for NVIDIA cards, several gigabytes.

FROM python:3.11.14-slim-bookworm AS build
ARG TORCH_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements.txt /build/requirements.txt
# PyTorch first and alone: the second command then finds its version there and keeps it.
RUN if [ -z "$TORCH_INDEX_URL" ]; then \
      echo "Give --build-arg TORCH_INDEX_URL=...: the address of PyTorch's CPU build." >&2; exit 1; \
    fi \
 && /venv/bin/pip install --index-url "$TORCH_INDEX_URL" --no-deps \
      "$(grep '^torch==' /build/requirements.txt)"
RUN /venv/bin/pip install -r /build/requirements.txt \
 && /venv/bin/pip uninstall --yes pip

FROM python:3.11.14-slim-bookworm
RUN groupadd --gid 10001 genrekit \
 && useradd --uid 10001 --gid genrekit --no-create-home --home-dir /tmp genrekit \
 && install --directory --owner=genrekit --group=genrekit --mode=700 /jobs
COPY --from=build /venv /venv
WORKDIR /app
COPY .streamlit /app/.streamlit
COPY examples /app/examples
COPY genrekit /app/genrekit
COPY models /app/models
COPY pages /app/pages
COPY LICENSE streamlit_app.py /app/
# The code belongs to root and is compiled here: the app writes to /jobs and /tmp alone.
RUN /venv/bin/python -m compileall -q /app \
 && /venv/bin/python -m genrekit.music.compiled
ENV PATH=/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GENREKIT_MODE=public \
    GENREKIT_JOBS_FOLDER=/jobs \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=8501 \
    STREAMLIT_SERVER_HEADLESS=true
USER 10001:10001
VOLUME /jobs
EXPOSE 8501
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/healthz', timeout=4)"]
CMD ["streamlit", "run", "streamlit_app.py"]
