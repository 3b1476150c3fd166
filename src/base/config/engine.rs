//! Where the container engine listens: `docker.socket`, and what the engine's own tools read from the environment.

use super::error::{ConfigError, Source};
use super::value::Value;
use super::{Config, Inputs};
use std::fmt;
use std::path::PathBuf;

/// The port of an engine without TLS, where none is told.
const PORT: u16 = 2375;
/// Where an engine listens if nobody said anything.
const USUAL: &str = "/var/run/docker.sock";

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineSocket {
    /// `unix://PATH`, an absolute path.
    Unix(PathBuf),
    /// `tcp://HOST:PORT`, in clear.
    Tcp {
        /// A name that the system resolves, or an address, without brackets.
        host: String,
        /// Its port.
        port: u16,
    },
}

impl Default for EngineSocket {
    fn default() -> EngineSocket {
        EngineSocket::Unix(PathBuf::from(USUAL))
    }
}

impl fmt::Display for EngineSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineSocket::Unix(path) => write!(f, "unix://{}", path.display()),
            EngineSocket::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            EngineSocket::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

impl Value for EngineSocket {
    fn expected() -> String {
        "unix:///PATH or tcp://HOST:PORT, such as \"unix:///var/run/docker.sock\"".to_owned()
    }

    fn parse(text: &str) -> Option<EngineSocket> {
        if let Some(path) = text.strip_prefix("unix://") {
            return path.starts_with('/').then(|| EngineSocket::Unix(PathBuf::from(path)));
        }
        let rest = text.strip_prefix("tcp://")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = port.map_or(Some(PORT), |port| port.parse().ok().filter(|port| *port != 0))?;
        let is_host = !host.is_empty() && !host.contains(['/', '@', ' ', '?', '#']);
        is_host.then(|| EngineSocket::Tcp { host: host.to_owned(), port })
    }

    fn emit(&self) -> toml_edit::Value {
        super::value::escape_variables(&self.to_string()).into()
    }
}

/// The variables of the engine's own tools. They are more general than `HIVEDNS_DOCKER__SOCKET`, which goes before
/// them, and said where the program runs, so they go before the file.
pub(super) fn read(inputs: &Inputs, config: &mut Config) -> Vec<ConfigError> {
    const KEY: &str = "docker.socket";
    let said = |name: &str| inputs.environment.get(name).filter(|value| !value.is_empty());
    let Some(host) = said("DOCKER_HOST") else { return Vec::new() };
    if matches!(config.said.source(KEY), Source::Environment(_) | Source::Flag(_)) {
        return Vec::new();
    }
    let at = Source::Environment("DOCKER_HOST".to_owned());
    let wrong = |message: String| vec![ConfigError::about(at.clone(), KEY, message)];
    let Some(socket) = host.to_str().and_then(EngineSocket::parse) else {
        return wrong(format!("expected {}, found {:?}", EngineSocket::expected(), host.to_string_lossy()));
    };
    if matches!(socket, EngineSocket::Tcp { .. }) && said("DOCKER_TLS_VERIFY").is_some() {
        return wrong("DOCKER_TLS_VERIFY is set, and TLS to the engine is not available yet".to_owned());
    }
    config.docker.socket = socket;
    config.said.note(KEY, at);
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{errors, good};
    use super::*;

    #[test]
    fn sockets_are_read_and_written() {
        for (text, emitted) in [
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("tcp://10.0.0.1:2375", "tcp://10.0.0.1:2375"),
            ("tcp://proxy", "tcp://proxy:2375"),
            ("tcp://proxy:1/", "tcp://proxy:1"),
            ("tcp://[::1]:5", "tcp://[::1]:5"),
            ("tcp://[::1]", "tcp://[::1]:2375"),
        ] {
            let socket = EngineSocket::parse(text).expect(text);
            assert_eq!(socket.to_string(), emitted);
            assert_eq!(EngineSocket::parse(emitted), Some(socket));
        }
        for text in [
            "",
            "/var/run/docker.sock",
            "unix://docker.sock",
            "ssh://host",
            "tcp://",
            "tcp://a:0",
            "tcp://a:b",
        ] {
            assert_eq!(EngineSocket::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_engine_s_own_variable_goes_before_the_file_and_behind_ours() {
        let file = "[docker]\nsocket = 'unix:///file'\n";
        let socket = |given: &[&str]| good(file, given).docker.socket.to_string();
        assert_eq!(socket(&[]), "unix:///file");
        assert_eq!(socket(&["DOCKER_HOST=unix:///host"]), "unix:///host");
        assert_eq!(socket(&["DOCKER_HOST="]), "unix:///file");
        assert_eq!(socket(&["DOCKER_HOST=tcp://h:1", "HIVEDNS_DOCKER__SOCKET=unix:///own"]), "unix:///own");
        assert_eq!(
            errors("", &["DOCKER_HOST=ssh://h"]),
            [format!("DOCKER_HOST: docker.socket: expected {}, found \"ssh://h\"", EngineSocket::expected())]
        );
        assert_eq!(
            errors("", &["DOCKER_HOST=tcp://h", "DOCKER_TLS_VERIFY=1"]),
            [
                "DOCKER_HOST: docker.socket: DOCKER_TLS_VERIFY is set, and TLS to the engine is not available yet"
            ]
        );
    }
}
