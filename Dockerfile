# hivedns as an image: one static program and what it reads, nothing else.
#
#     docker build -t hivedns .
#
# Where no registry can be reached, `tools/image` builds the same with the Rust of this machine: it takes everything from
# `FROM scratch` on. The program is linked statically against glibc, whose allocator is faster than musl's.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --bin hivedns \
        --target "$(rustc -vV | sed -n 's/^host: //p')" \
    && mkdir -p /image/etc/hivedns /image/run/hivedns /image/var/lib/hivedns /image/tmp \
    && cp target/*/release/hivedns /image/hivedns \
    && cp examples/image/passwd examples/image/group examples/image/nsswitch.conf /image/etc/ \
    && cp examples/image/hivedns.toml /image/etc/hivedns/

FROM scratch
COPY --from=build /image/ /
# It starts as root, to open port 53 and the engine's socket, and becomes the user `hivedns` before it answers anything.
# With a socket proxy and `--sysctl net.ipv4.ip_unprivileged_port_start=0` it needs no root at all: `--user 5300`.
EXPOSE 53/udp 53/tcp 7953/udp 7953/tcp 5380/tcp
VOLUME ["/var/lib/hivedns", "/run/hivedns"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["/hivedns", "status"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/hivedns"]
CMD ["serve"]
