# The image of the operator: the program, the libraries that it was linked with, and the certificate authorities that the
# world knows. No shell, no package manager, no user with rights.
#
#   docker build -t pchat-operator:0.1.0 .
#
# The bases are named by digest: the same commit is built on the same bytes. To take newer ones, look up what the tag names now
# (docker buildx imagetools inspect rust:1.93-bookworm) and put it here.

# 1. build: compiles the program. The full image, because OpenSSL is built along and wants make and perl. The same Debian
# release as in 2, so that the program meets the C library that it was linked with.
FROM rust:1.93-bookworm@sha256:7c4ae649a84014c467d79319bbf17ce2632ae8b8be123ac2fb2ea5be46823f31 AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package pchat-operator

# What the program is made of, and the licences of all that.
FROM build AS bill
RUN bash .ci/bill /bill

# 2. files: collects what the program needs to run, under /rootfs. ldd names the loader and the C library; the parts of it
# that read /etc/hosts and ask name servers are inside of it and only need to be told the order. The authorities lie there
# one by one, found by their hashes: a file with all of them would be read for each connection, a megabyte each. That it
# starts is tried here.
FROM debian:bookworm-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171 AS files
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates
COPY --from=build /src/target/release/pchat-operator /rootfs/usr/bin/pchat-operator
COPY LICENSE NOTICE /rootfs/usr/share/doc/pchat-operator/
COPY --from=bill /bill/ /rootfs/usr/share/doc/pchat-operator/
RUN ldd /rootfs/usr/bin/pchat-operator | grep -o '/[^ ]*' | xargs -I LIBRARY cp -L --parents LIBRARY /rootfs \
    && cp -rL --parents /etc/ssl/certs /rootfs && rm /rootfs/etc/ssl/certs/ca-certificates.crt \
    && echo 'hosts: files dns' > /rootfs/etc/nsswitch.conf \
    && echo 'pchat:x:65532:65532::/:' > /rootfs/etc/passwd \
    && chroot /rootfs /usr/bin/pchat-operator --version

# 3. the image. One heap for all threads: several would each keep what a busy moment left them.
FROM scratch
LABEL org.opencontainers.image.title="pchat-operator" \
      org.opencontainers.image.description="Moves a Persistent Chat pool to the other data centre" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=files /rootfs/ /
ENV MALLOC_ARENA_MAX=1
# By number: Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/bin/pchat-operator"]
