//! The system's `resolv.conf` (resolv.conf(5)): which name servers it says to ask. Search lists and options are for
//! programs that ask, not for one that is asked, and do not count.

use crate::base::limits::{RESOLV_CONF_OCTETS_MAX, RESOLV_CONF_SERVERS_MAX};
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Where the system keeps it.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The port that name servers of `resolv.conf` are asked at: the file cannot say another.
const PORT: u16 = 53;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// The name servers, in the order of the file, none twice.
    pub servers: Vec<SocketAddr>,
    /// What an operator may want to know of what was left out; each a line without a final dot.
    pub notes: Vec<String>,
}

impl ResolvConf {
    /// Reads the text of such a file.
    pub fn parse(text: &str) -> ResolvConf {
        let mut found = ResolvConf::default();
        for (number, line) in (1..).zip(text.lines()) {
            // A keyword stands at the start of its line, a comment too.
            let Some(rest) = line.strip_prefix("nameserver").filter(|rest| rest.starts_with([' ', '\t']))
            else {
                continue;
            };
            let Some(said) = rest.split_whitespace().next() else { continue };
            match server(said) {
                Ok(address) if found.servers.contains(&address) => {}
                Ok(_) if found.servers.len() == RESOLV_CONF_SERVERS_MAX => {
                    found.notes.push(format!(
                        "line {number}: {said} and all behind it are left out: {RESOLV_CONF_SERVERS_MAX} name servers are enough"
                    ));
                    break;
                }
                Ok(address) => found.servers.push(address),
                Err(why) => found.notes.push(format!("line {number}: {said} is left out: {why}")),
            }
        }
        if found.servers.is_empty() {
            // The C library would ask 127.0.0.1, where it may be ourselves who listen.
            found.notes.push("it names no name server that can be asked".to_owned());
        }
        found
    }

    /// Reads the file; one that does not exist says nothing. An error if the system cannot read it, or if it is too
    /// large to be such a file.
    pub fn read(path: &Path) -> io::Result<ResolvConf> {
        let mut octets = Vec::new();
        match File::open(path) {
            Ok(file) => file.take(RESOLV_CONF_OCTETS_MAX + 1).read_to_end(&mut octets)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if octets.len() as u64 > RESOLV_CONF_OCTETS_MAX {
            let message = format!("more than {} KiB: no resolv.conf", RESOLV_CONF_OCTETS_MAX >> 10);
            return Err(io::Error::other(message));
        }
        Ok(ResolvConf::parse(&String::from_utf8_lossy(&octets)))
    }
}

fn server(said: &str) -> Result<SocketAddr, &'static str> {
    // `%` and a number is the index of an interface; names of interfaces are the system's to know.
    let address = match said.contains('%') {
        true => format!("[{said}]:{PORT}").parse().map_err(|_| "a scope is understood as a number only"),
        false => said
            .parse()
            .map(|ip: IpAddr| SocketAddr::new(ip.to_canonical(), PORT))
            .map_err(|_| "it is no address"),
    }?;
    if address.ip().is_unspecified() || address.ip().is_multicast() {
        return Err("nobody can be asked there");
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The servers and the notes in one line.
    fn told(text: &str) -> String {
        let ResolvConf { servers, notes } = ResolvConf::parse(text);
        let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
        if notes.is_empty() {
            servers.join(" ")
        } else {
            format!("{} | {}", servers.join(" "), notes.join(" | "))
        }
    }

    const NONE: &str = "it names no name server that can be asked";

    #[test]
    fn name_servers_are_taken_in_their_order_and_all_else_is_passed_over() {
        let text = "# made by hand\n; too\nsearch example.com\nnameserver 192.0.2.1\nnameserver\t2001:db8::1  \r\n\
            options timeout:1 attempts:2\nnameserver 192.0.2.1 # again\n nameserver 192.0.2.9\n#nameserver 192.0.2.8\n\
            nameservers 192.0.2.7\nnameserver127.0.0.1\nnameserver ::ffff:192.0.2.2\nnameserver 127.0.0.53";
        assert_eq!(told(text), "192.0.2.1:53 [2001:db8::1]:53 192.0.2.2:53 127.0.0.53:53");
    }

    #[test]
    fn a_scope_is_kept_as_a_number_and_left_out_as_a_name() {
        assert_eq!(
            told("nameserver fe80::1%2\nnameserver fe80::1%eth0"),
            "[fe80::1%2]:53 | line 2: fe80::1%eth0 is left out: a scope is understood as a number only"
        );
    }

    #[test]
    fn what_cannot_be_asked_is_left_out_and_told() {
        for (text, expected) in [
            ("", format!(" | {NONE}")),
            ("search a\n", format!(" | {NONE}")),
            ("nameserver\nnameserver ", format!(" | {NONE}")),
            (
                "nameserver 0.0.0.0",
                format!(" | line 1: 0.0.0.0 is left out: nobody can be asked there | {NONE}"),
            ),
            ("\nnameserver dns1", format!(" | line 2: dns1 is left out: it is no address | {NONE}")),
            (
                "nameserver 1.1.1.1:53",
                format!(" | line 1: 1.1.1.1:53 is left out: it is no address | {NONE}"),
            ),
        ] {
            assert_eq!(told(text), expected, "{text:?}");
        }
    }

    #[test]
    fn there_is_a_bound_to_the_name_servers() {
        let many: String = (1..=20).map(|i| format!("nameserver 192.0.2.{i}\n")).collect();
        let found = ResolvConf::parse(&many);
        assert_eq!(found.servers.len(), RESOLV_CONF_SERVERS_MAX);
        assert_eq!(
            found.notes,
            ["line 9: 192.0.2.9 and all behind it are left out: 8 name servers are enough"]
        );
    }

    #[test]
    fn a_file_that_is_not_there_says_nothing_and_one_without_end_is_refused() {
        assert_eq!(ResolvConf::read(Path::new("/no/such/file")).unwrap(), ResolvConf::parse(""));
        assert!(ResolvConf::read(Path::new("/dev/zero")).is_err());
        assert!(ResolvConf::read(Path::new("/")).is_err());
    }
}
