# Two stages: the first installs what requirements/run.txt pins, the second only carries it.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/hub
COPY requirements/run.txt requirements/run.txt
RUN /opt/hub/bin/pip install --no-cache-dir --require-hashes --requirement requirements/run.txt
COPY pyproject.toml README.md ./
COPY hub hub
COPY connectors connectors
COPY graphql_schema graphql_schema
COPY migrations migrations
RUN /opt/hub/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 hub && install -d -o hub -g hub -m 0700 /var/lib/hub
COPY --from=build /opt/hub /opt/hub
ENV PATH=/opt/hub/bin:$PATH PYTHONUNBUFFERED=1 HUB_STATE_DIR=/var/lib/hub HUB_HOST=0.0.0.0
USER hub
VOLUME /var/lib/hub
EXPOSE 8000
ENTRYPOINT ["hub"]
CMD ["serve"]
