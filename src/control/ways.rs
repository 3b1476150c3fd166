//! From what the operator said to what is done: each suffix of `[forward]` with the servers to ask, those of the
//! system's `resolv.conf` among them, our own listeners never. Pure; nobody is asked and nothing is read.

use crate::base::config::{Config, ConfigError, Suffix, To, Upstream};
use crate::base::limits::UPSTREAMS_MAX;
use crate::base::resolv_conf::{RESOLV_CONF, ResolvConf};
use crate::control::cluster::source_toward;
use crate::resolve::policy::Way;
use crate::wire::name::Name;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where a container engine answers names in each container. Its rules of the packet filter catch what is sent there, so
/// that a listener on all addresses gets none of it.
const ENGINE_RESOLVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11)), 53);

/// The ways of all suffixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways {
    /// Longer suffixes first, so that the first that a name lies in is the longest; the root is the last.
    pub of_suffixes: Vec<(Name, Way)>,
    /// What was left out of `resolv.conf`, and what follows from that; each a line for the log.
    pub warnings: Vec<String>,
}

/// The ways that the configuration asks for. `listening` are the addresses that we answer on, with the ports they
/// really have; `is_local` tells whether an address is this machine's, which matters where we listen on all.
///
/// An upstream that is ourselves would be asked for ever: one that was given by hand is an error, one of `resolv.conf`
/// is left out. A suffix that nobody is left to be asked for is refused.
pub fn ways(
    config: &Config,
    resolv_conf: &ResolvConf,
    listening: &[SocketAddr],
    is_local: impl Fn(IpAddr) -> bool,
) -> Result<Ways, Vec<ConfigError>> {
    let is_own = |address: &SocketAddr| listening.iter().any(|own| reaches(*own, *address, &is_local));
    let (mut of_suffixes, mut errors) = (Vec::<(Name, Way)>::new(), Vec::new());
    let mut system = System { resolv_conf, is_asked: false };
    let mut warnings = Vec::new();
    for suffix in config.forward.suffixes() {
        let key = suffix.key();
        let mut wrong = |message: String| {
            errors.push(ConfigError { at: config.said.source(&key), message: format!("{key}: {message}") });
        };
        let Ok(name) = Name::parse(suffix.name.as_str()) else {
            wrong("expected a domain name".to_owned());
            continue;
        };
        // The configuration compares letters; here it is known what an escape stands for.
        if of_suffixes.iter().any(|(known, _)| *known == name) {
            wrong(format!("{name} is given twice"));
            continue;
        }
        let way = match &suffix.to {
            To::Root => Way::Iterate,
            To::Refuse => Way::Refuse,
            To::Upstreams(upstreams) => {
                let said = |upstream: &Upstream| match upstream {
                    Upstream::At(address) => Some(*address),
                    Upstream::ResolvConf => None,
                };
                for own in upstreams.iter().filter_map(said).filter(is_own) {
                    wrong(format!("{own} is this server itself: it would ask itself for ever"));
                }
                forward(suffix, system.servers(upstreams, is_own), &mut warnings)
            }
        };
        of_suffixes.push((name, way));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    of_suffixes.sort_by_key(|(name, _)| std::cmp::Reverse(name.label_count()));
    // First what was found in the file, then what follows from it.
    let mut told = system.warnings(is_own);
    told.append(&mut warnings);
    Ok(Ways { of_suffixes, warnings: told })
}

/// Whether the address belongs to this machine: the kernel would send from it to reach it. Nothing is sent.
pub fn is_local(address: IpAddr) -> bool {
    source_toward(address).is_ok_and(|source| source == address)
}

/// True if a datagram to `address` would reach the listener `own`.
fn reaches(own: SocketAddr, address: SocketAddr, is_local: impl Fn(IpAddr) -> bool) -> bool {
    let (at, to) = (own.ip().to_canonical(), address.ip().to_canonical());
    // A listener of one family takes nothing of the other (V6ONLY).
    let is_wildcard = at.is_unspecified() && at.is_ipv4() == to.is_ipv4() && address != ENGINE_RESOLVER;
    own.port() == address.port() && (at == to || is_wildcard && (to.is_loopback() || is_local(to)))
}

/// The way to these servers.
fn forward(suffix: &Suffix, mut servers: Vec<SocketAddr>, warnings: &mut Vec<String>) -> Way {
    if servers.is_empty() {
        warnings.push(format!("{}: nobody is left to be asked: names there are refused", suffix.key()));
        return Way::Refuse;
    }
    if servers.len() > UPSTREAMS_MAX {
        let key = suffix.key();
        warnings.push(format!("{key}: of {} upstreams the first {UPSTREAMS_MAX} are asked", servers.len()));
        servers.truncate(UPSTREAMS_MAX);
    }
    Way::Forward(servers)
}

/// What the system says, and whether anybody wants to know.
struct System<'r> {
    resolv_conf: &'r ResolvConf,
    is_asked: bool,
}

impl System<'_> {
    /// The servers of a list in its order, those of the system in their place, each once.
    fn servers(&mut self, upstreams: &[Upstream], is_own: impl Fn(&SocketAddr) -> bool) -> Vec<SocketAddr> {
        let mut servers = Vec::new();
        for upstream in upstreams {
            let more = match upstream {
                Upstream::At(address) => std::slice::from_ref(address),
                Upstream::ResolvConf => {
                    self.is_asked = true;
                    &self.resolv_conf.servers
                }
            };
            for server in more.iter().filter(|server| !is_own(server)) {
                if !servers.contains(server) {
                    servers.push(*server);
                }
            }
        }
        servers
    }

    fn warnings(&self, is_own: impl Fn(&SocketAddr) -> bool) -> Vec<String> {
        if !self.is_asked {
            return Vec::new();
        }
        let notes = self.resolv_conf.notes.iter().map(|note| format!("{RESOLV_CONF}: {note}"));
        let own = self.resolv_conf.servers.iter().filter(|server| is_own(server));
        let own = own.map(|own| format!("{RESOLV_CONF}: {} is left out: it is this server itself", own.ip()));
        notes.chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::config::{ConfigFile, Given, Inputs};
    use std::collections::BTreeMap;

    /// The ways in lines, then the warnings, or the errors. `forward` are items `SUFFIX=LIST`; this machine has the
    /// address 192.0.2.200.
    fn told(forward: &str, resolv_conf: &str, listening: &str) -> Vec<String> {
        let items = forward.split_whitespace().map(|item| item.split_once('=').unwrap());
        let environment: BTreeMap<_, _> =
            items.map(|(suffix, list)| (format!("HIVEDNS_FORWARD__{suffix}"), list.into())).collect();
        let config = Config::load(&Inputs { environment, ..Inputs::default() }).unwrap();
        let text: String = resolv_conf.split_whitespace().map(|ip| format!("nameserver {ip}\n")).collect();
        let listening: Vec<SocketAddr> =
            listening.split_whitespace().map(|own| own.parse().unwrap()).collect();
        let is_local = |ip: IpAddr| ip == IpAddr::from([192, 0, 2, 200]);
        match ways(&config, &ResolvConf::parse(&text), &listening, is_local) {
            Ok(Ways { of_suffixes, warnings }) => {
                let way = |way: &Way| match way {
                    Way::Forward(servers) => {
                        servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
                    }
                    Way::Iterate => "iterate".to_owned(),
                    Way::Refuse => "refuse".to_owned(),
                };
                let ways = of_suffixes.iter().map(|(name, to)| format!("{name} {}", way(to)));
                ways.chain(warnings).collect()
            }
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn the_first_suffix_that_a_name_lies_in_is_the_longest() {
        assert_eq!(
            told("b=refuse a.b=::1 .=root c.a.b=192.0.2.1,192.0.2.1:53,192.0.2.2:5", "", ""),
            ["c.a.b. 192.0.2.1:53,192.0.2.2:5", "a.b. [::1]:53", "b. refuse", ". iterate"]
        );
    }

    #[test]
    fn the_systems_servers_stand_where_they_were_named_and_none_stands_twice() {
        assert_eq!(
            told("x=192.0.2.9,resolv.conf,192.0.2.1", "192.0.2.1 192.0.2.9 2001:db8::1", "127.0.0.1:53"),
            ["x. 192.0.2.9:53,192.0.2.1:53,[2001:db8::1]:53", ". 192.0.2.1:53,192.0.2.9:53,[2001:db8::1]:53"]
        );
    }

    #[test]
    fn nobody_to_ask_is_told_and_refused() {
        for (resolv_conf, listening, expected) in [
            ("", "", vec!["/etc/resolv.conf: it names no name server that can be asked"]),
            (
                "127.0.0.1 ::1",
                "127.0.0.1:53 [::1]:53",
                vec![
                    "/etc/resolv.conf: 127.0.0.1 is left out: it is this server itself",
                    "/etc/resolv.conf: ::1 is left out: it is this server itself",
                ],
            ),
        ] {
            let nobody = "forward.\".\": nobody is left to be asked: names there are refused";
            let mut all = vec![". refuse"];
            all.extend(expected);
            all.push(nobody);
            assert_eq!(told("", resolv_conf, listening), all);
        }
        // Where the system's word is not asked for, what is wrong with it does not matter.
        assert_eq!(told(".=root", "127.0.0.1", "127.0.0.1:53"), [". iterate"]);
    }

    #[test]
    fn an_upstream_that_is_this_server_is_an_error_that_names_its_key() {
        for (upstream, listening, is_own) in [
            ("127.0.0.1", "127.0.0.1:53", true),
            ("127.0.0.1", "127.0.0.1:5300", false),
            ("127.0.0.1:5300", "127.0.0.1:5300", true),
            ("127.0.0.53", "127.0.0.1:53", false),
            ("127.0.0.53", "0.0.0.0:53", true),
            ("127.0.0.11", "0.0.0.0:53", false),
            ("127.0.0.11", "127.0.0.11:53", true),
            ("127.0.0.53", "[::]:53", false),
            ("::1", "[::]:53", true),
            ("::1", "0.0.0.0:53", false),
            ("192.0.2.200", "0.0.0.0:53", true),
            ("192.0.2.201", "0.0.0.0:53", false),
            ("192.0.2.200", "127.0.0.1:53", false),
            ("192.0.2.200", "127.0.0.1:53 192.0.2.200:53", true),
        ] {
            let told = told(&format!("x={upstream} .=root"), "", listening);
            if is_own {
                let (port, ip) = (listening.rsplit(':').next().unwrap(), upstream.trim_end_matches(":5300"));
                let address = SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap());
                let expected = format!(
                    "HIVEDNS_FORWARD__x: forward.\"x.\": {address} is this server itself: \
                     it would ask itself for ever"
                );
                assert_eq!(told, [expected], "{upstream} {listening}");
            } else {
                assert_eq!(told.len(), 2, "{upstream} {listening}: {told:?}");
            }
        }
    }

    #[test]
    fn more_upstreams_than_anybody_needs_are_left_out() {
        let many: Vec<String> = (1..=UPSTREAMS_MAX).map(|i| format!("192.0.2.{i}")).collect();
        let told = told(&format!(".=resolv.conf,{}", many[1..].join(",")), "2001:db8::1 2001:db8::2", "");
        assert!(told[0].starts_with(". [2001:db8::1]:53,[2001:db8::2]:53,192.0.2.2:53"), "{told:?}");
        assert_eq!(told[1], "forward.\".\": of 17 upstreams the first 16 are asked");
    }

    #[test]
    fn the_same_name_in_two_spellings_is_an_error() {
        let forward = "a=::1 \\097=::1";
        let told = told(forward, "", "");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].ends_with("a. is given twice"), "{told:?}");
    }

    #[test]
    fn flags_say_the_same_as_keys() {
        let flag = |flag, text: &str| Inputs {
            file: ConfigFile::Without,
            flags: vec![Given { flag, text: text.to_owned() }],
            ..Inputs::default()
        };
        for (inputs, expected) in [
            (flag("--forward", "192.0.2.1"), Way::Forward(vec!["192.0.2.1:53".parse().unwrap()])),
            (flag("--recurse", "root"), Way::Iterate),
        ] {
            let config = Config::load(&inputs).unwrap();
            let ways = ways(&config, &ResolvConf::default(), &[], |_| false).unwrap();
            assert_eq!(ways.of_suffixes, [(Name::ROOT, expected)]);
        }
    }

    #[test]
    fn loopback_is_local_and_what_nobody_here_has_is_not() {
        assert!(is_local(IpAddr::from([127, 0, 0, 1])));
        assert!(!is_local(IpAddr::from([192, 0, 2, 77])));
    }
}
