//! musl's stub resolver in a container of a small image that was built from nothing, on a bridge of the test's own.

use crate::apart::{installed_for, run, said, skip};
use crate::forwarder::Forwarder;
use crate::oracle::process::TempDir;
use crate::{build_lookup, upstream};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const TEST: &str = "musl_in_a_small_image_finds_names";

fn docker(words: &[&str]) -> String {
    run("docker", words)
}

/// A network and an image, both gone when dropped.
struct Made {
    name: String,
}

impl Made {
    /// A network without a way out, and an image that has nothing but that program.
    fn new(dir: &Path, program: &Path) -> Made {
        let made = Made { name: format!("hivedns-test-{}", std::process::id()) };
        docker(&["network", "create", "--internal", &made.name]);
        let context = dir.join("context");
        fs::create_dir(&context).expect("a directory");
        fs::copy(program, context.join("lookup")).expect("a file");
        fs::write(
            context.join("Dockerfile"),
            "FROM scratch\nCOPY lookup /lookup\nENTRYPOINT [\"/lookup\"]\n",
        )
        .expect("a file");
        let mut build = Command::new("docker");
        build.env("DOCKER_BUILDKIT", "0").args(["build", "--quiet", "--tag", &made.name]).arg(&context);
        let output = said(&mut build);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        made
    }

    /// This machine's address on the network.
    fn gateway(&self) -> String {
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        docker(&["network", "inspect", "--format", format, &self.name]).trim().to_owned()
    }

    /// The addresses of a name, as a container finds them.
    fn look_up(&self, options: &[&str], name: &str) -> BTreeSet<String> {
        let image = [&self.name[..], name];
        let words = [&["run", "--rm", "--network", &self.name], options, &image].concat();
        docker(&words).lines().map(str::to_owned).collect()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for words in [["image", "rm", &self.name], ["network", "rm", &self.name]] {
            said(Command::new("docker").args(words));
        }
    }
}

/// Whether there is an engine to ask, and it is this machine's.
fn has_docker() -> bool {
    let mut ask = Command::new("docker");
    let asked =
        ask.args(["info", "--format", "{{.ServerVersion}}"]).stdin(std::process::Stdio::null()).output();
    asked.is_ok_and(|output| output.status.success()) && Path::new("/run/docker.sock").exists()
}

#[test]
fn musl_in_a_small_image_finds_names() {
    if !has_docker() || said(Command::new("id").arg("-u")).stdout != b"0\n" {
        return skip(TEST, "there is no Docker engine here, or no root");
    }
    installed_for(TEST, "stubs", || {
        let home = TempDir::new("image", false).expect("a directory");
        let made = Made::new(home.path(), &build_lookup(home.path(), "musl-gcc", &["-static"]));
        let (gateway, upstream) = (made.gateway(), upstream());
        let at = format!("{gateway}:53").parse().expect("an address");
        let forwarder = Forwarder::start_at(at, home.path(), &[upstream.address]);
        let file = home.path().join("resolv.conf");
        fs::write(&file, format!("nameserver {gateway}\nsearch example\n")).expect("a file");
        let mount = format!("{}:/etc/resolv.conf:ro", file.display());
        let both = BTreeSet::from(["192.0.2.1".to_owned(), "2001:db8::1".to_owned()]);
        // Asked by the container itself, then through the engine's own resolver.
        for (options, name) in [
            (&["--volume", &mount][..], "www.example"),
            (&["--volume", &mount], "www"),
            (&["--dns", &gateway], "www.example"),
            // The engine says `ndots:0`, by which musl does not search.
            (&["--dns", &gateway, "--dns-search", "example", "--dns-option", "ndots:1"], "www"),
        ] {
            let before = forwarder.asked("udp", "A");
            assert_eq!(made.look_up(options, name), both, "{options:?}: {}", forwarder.log());
            assert!(forwarder.asked("udp", "A") > before, "{options:?}");
        }
    });
}
