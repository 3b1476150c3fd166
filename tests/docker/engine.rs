//! The engine of this machine, as its own command drives it. Whatever is made carries a name of this process and is gone
//! when the test ends.

use crate::oracle::process::TempDir;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// An engine with an image to run, and a network for the test alone.
pub struct Engine {
    /// Names of what the test made begin with it.
    pub prefix: String,
    image: String,
}

impl Engine {
    /// Prepares it; `None`, told loudly, where there is no engine or no compiler. With `CI=true` an engine that is there
    /// must be of use.
    pub fn prepare(test: &str) -> Option<Engine> {
        let is_there = docker(&["version", "--format", "{{.Server.Version}}"]);
        if !is_there.as_ref().is_ok_and(|output| output.status.success()) {
            eprintln!("\nSKIPPED {test}: there is no container engine here, or it may not be used\n");
            return None;
        }
        let prefix = format!("hdtest-{}-{test}", std::process::id());
        let engine = Engine { image: format!("{prefix}:1"), prefix };
        match engine.build() {
            Ok(()) => Some(engine),
            Err(why) => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
                eprintln!("\nSKIPPED {test}: no image for the engine: {why}\n");
                None
            }
        }
    }

    /// Makes the image of one static program, without a registry, and the network.
    fn build(&self) -> Result<(), String> {
        let dir = TempDir::new("image", false).map_err(|error| error.to_string())?;
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docker/pause.c");
        run(Command::new("cc").args(["-static", "-O1", "-o", "pause", source]).current_dir(dir.path()))?;
        std::fs::create_dir(dir.path().join("tmp")).map_err(|error| error.to_string())?;
        let tar = run(Command::new("tar").args(["c", "pause", "tmp"]).current_dir(dir.path()))?;
        let import = ["import", "-c", "ENTRYPOINT [\"/pause\"]", "-c", "EXPOSE 8080/tcp", "-", &self.image];
        let mut child = Command::new("docker")
            .args(import)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        child.stdin.take().expect("a pipe").write_all(&tar).map_err(|error| error.to_string())?;
        let status = child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err("docker import failed".to_owned());
        }
        self.docker(&["network", "create", &self.network()]);
        Ok(())
    }

    /// The test's own network.
    pub fn network(&self) -> String {
        format!("{}-net", self.prefix)
    }

    /// The whole name of a container of the test.
    pub fn name(&self, container: &str) -> String {
        format!("{}-{container}", self.prefix)
    }

    /// Starts a container in the test's network.
    pub fn start(&self, container: &str, options: &[&str], arguments: &[&str]) {
        let (name, network) = (self.name(container), self.network());
        let run = ["run", "-d", "--name", &name, "--network", &network];
        self.docker(&[&run[..], options, &[&self.image], arguments].concat());
    }

    /// What the engine's command prints; it must work.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = docker(arguments).expect("docker");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {arguments:?}: {told}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let filter = format!("name={}", self.prefix);
        let Ok(all) = docker(&["ps", "-aq", "--filter", &filter]) else { return };
        for id in String::from_utf8_lossy(&all.stdout).split_whitespace() {
            let _ = docker(&["rm", "-f", id]);
        }
        let _ = docker(&["network", "rm", &self.network()]);
        let _ = docker(&["rmi", &self.image]);
    }
}

fn docker(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new("docker").args(arguments).stdin(Stdio::null()).output()
}

fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
