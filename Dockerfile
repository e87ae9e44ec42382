# docker build -t ut --build-arg COMMIT=$(git rev-parse --short=12 HEAD) .
# docker run -v /etc/ut:/etc/ut:ro --network host ut
#
# config/container.yaml is a config for it, docs/operating.md "In a container" has the rest.
# For other platforms (docker buildx build --platform linux/arm64): the build stage always runs natively and Bun
# compiles for the other architecture, so nothing is emulated.
FROM --platform=$BUILDPLATFORM node:22-bookworm-slim AS build
WORKDIR /src
# First what changes rarely: the packages are fetched again only when the lock file changes.
COPY package.json bun.lock bunfig.toml ./
RUN npm run setup
COPY tsconfig.json ./
COPY config ./config
COPY scripts ./scripts
COPY src ./src
ARG TARGETARCH
# The repository is not copied, so its commit has to be told.
ARG COMMIT=unknown
RUN UT_COMMIT=$COMMIT node_modules/.bin/bun run scripts/build.ts --target linux-$TARGETARCH --out /out \
 && mv /out/ut-linux-* /out/ut

# glibc and nothing else: no shell, no package manager.
FROM gcr.io/distroless/base-debian12:nonroot
COPY --from=build /out/ut /usr/local/bin/ut
# By number, so that an orchestrator can see that it is not root. Mount certificates and ut.yaml on /etc/ut; keys must
# be readable for this user, or be handed over as secrets: … ut --credentials /run/secrets
USER 65532:65532
# Lanes of a server. The status address (5080) listens on 127.0.0.1 unless metrics.listen_addr says otherwise.
EXPOSE 5443/tcp
ENTRYPOINT ["/usr/local/bin/ut", "-config", "/etc/ut/ut.yaml"]
# Whether the process turns, not whether its server can be reached: a restart would not bring that back.
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s CMD ["/usr/local/bin/ut", "health", "-config", "/etc/ut/ut.yaml"]
