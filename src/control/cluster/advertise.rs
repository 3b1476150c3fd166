//! The address that others are told to reach this node at.

use crate::base::config::Advertise;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Found out from whom this node meets, or said by the operator.
pub(super) struct Advertised {
    /// At present.
    pub(super) address: SocketAddr,
    /// True while an address to join may still show a better one.
    is_guess: bool,
    takes_ipv6: bool,
    /// Another member was heard, and tells the way to others.
    is_heard: bool,
    /// One that tells nothing of it was heard there last.
    passed_over: Option<IpAddr>,
}

impl Advertised {
    /// At the start, when names to join are not resolved yet; `remembered`: where members were in an earlier life.
    pub(super) fn new(said: &Advertise, bound: SocketAddr, remembered: &[SocketAddr]) -> Advertised {
        let (address, is_guess) = match said {
            Advertise::At(ip, port) => (SocketAddr::new(*ip, port.unwrap_or(bound.port())), false),
            Advertise::Auto if !bound.ip().is_unspecified() => (bound, false),
            Advertise::Auto => {
                // An address for documentation (RFC 5737): it leads where a default route leads.
                let anywhere = IpAddr::from([192, 0, 2, 1]);
                let usable = remembered.iter().filter(|at| at.is_ipv4() || bound.is_ipv6());
                let toward = usable.map(SocketAddr::ip).chain([anywhere]);
                let mut sources = toward.filter_map(|toward| source(toward).ok());
                let ip = sources.next().unwrap_or(IpAddr::from([127, 0, 0, 1]));
                (SocketAddr::new(ip, bound.port()), true)
            }
        };
        Advertised { address, is_guess, takes_ipv6: bound.is_ipv6(), is_heard: false, passed_over: None }
    }

    /// These are addresses to join; true if others are to be told another address from now on. The first of another
    /// node decides, for in its network the cluster is. Until there is one, our own among them is the best guess.
    pub(super) fn found(&mut self, addresses: &[SocketAddr]) -> bool {
        if !self.is_guess {
            return false;
        }
        // A socket of IPv4 alone is reached at no other address.
        let usable = addresses.iter().filter(|to| to.is_ipv4() || self.takes_ipv6);
        let sources = usable.filter_map(|to| Some((to.ip(), source(to.ip()).ok()?)));
        // Another node's before our own; loopback only if there is nothing else.
        let best = sources.min_by_key(|(to, ip)| (to.is_loopback(), to == ip));
        let Some((to, ip)) = best else { return false };
        self.is_guess = to == ip;
        let is_news = self.address.ip() != ip;
        self.address.set_ip(ip);
        is_news
    }

    /// Another member says something from that address; true if others are to be told another address from now on. Whoever
    /// is found by others before any name to join leads anywhere has nothing better to go by; an address to join still
    /// decides against it.
    pub(super) fn heard(&mut self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        if !self.is_guess || self.is_heard || self.passed_over == Some(from) {
            return false;
        }
        // One on this very machine tells nothing of the way to others.
        let Some(ip) = source(from).ok().filter(|ip| *ip != from) else {
            self.passed_over = Some(from);
            return false;
        };
        self.is_heard = true;
        let is_news = self.address.ip() != ip;
        self.address.set_ip(ip);
        is_news
    }
}

/// The address that the kernel would send from. Nothing is sent: connecting a datagram socket only asks the routing
/// table.
pub(in crate::control) fn source(toward: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if toward.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0))?;
    // Any port will do, for none is reached.
    socket.connect((toward, 7953))?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn auto(bound: &str) -> Advertised {
        Advertised::new(&Advertise::Auto, bound.parse().unwrap(), &[])
    }

    #[test]
    fn a_node_on_all_addresses_tells_the_one_that_leads_to_who_it_joins() {
        let mut advertised = auto("0.0.0.0:5");
        advertised.address = "192.0.2.9:5".parse().unwrap();
        assert!(!advertised.found(&[]));
        assert!(!advertised.found(&addresses(&["[::1]:7"])));
        // Our own: a guess, and a better one may come.
        assert!(advertised.found(&addresses(&["127.0.0.1:7"])));
        assert_eq!(advertised.address, "127.0.0.1:5".parse().unwrap());
        assert!(!advertised.found(&addresses(&["127.0.0.1:7", "127.0.0.2:7"])));
        // Now it is known, and stays.
        advertised.address = "192.0.2.9:5".parse().unwrap();
        assert!(!advertised.found(&addresses(&["127.0.0.1:7"])));
    }

    #[test]
    fn who_is_found_by_others_tells_the_address_that_leads_to_them_until_a_name_leads_elsewhere() {
        let heard = |text: &str| text.parse().unwrap();
        let mut advertised = auto("0.0.0.0:5");
        advertised.address = "192.0.2.9:5".parse().unwrap();
        // From our own address: on this machine.
        assert!(!advertised.heard(heard("127.0.0.1")));
        assert!(advertised.heard(heard("::ffff:127.0.0.2")));
        assert_eq!(advertised.address, "127.0.0.1:5".parse().unwrap());
        advertised.address = "192.0.2.9:5".parse().unwrap();
        assert!(!advertised.heard(heard("127.0.0.3")), "the first decides");
        assert!(advertised.found(&addresses(&["127.0.0.2:7"])));
        advertised.address = "192.0.2.9:5".parse().unwrap();
        assert!(!advertised.heard(heard("127.0.0.3")), "now it is known");
        let mut bound = auto("127.0.0.3:5");
        assert!(!bound.heard(heard("127.0.0.2")));
    }

    #[test]
    fn who_starts_again_guesses_by_where_members_were_and_is_corrected_by_where_they_are() {
        let remembered = addresses(&["127.0.0.9:7"]);
        let mut advertised = Advertised::new(&Advertise::Auto, "0.0.0.0:5".parse().unwrap(), &remembered);
        assert_eq!(advertised.address, "127.0.0.1:5".parse().unwrap());
        advertised.address = "192.0.2.9:5".parse().unwrap();
        assert!(advertised.found(&addresses(&["127.0.0.2:7"])));
    }

    #[test]
    fn what_was_said_or_bound_is_told() {
        let mut bound = auto("127.0.0.3:5");
        assert_eq!(bound.address, "127.0.0.3:5".parse().unwrap());
        assert!(!bound.found(&addresses(&["127.0.0.1:7"])));
        let ip = "192.0.2.7".parse().unwrap();
        let mut said = Advertised::new(&Advertise::At(ip, Some(9)), "0.0.0.0:5".parse().unwrap(), &[]);
        assert_eq!(said.address, "192.0.2.7:9".parse().unwrap());
        assert!(!said.found(&addresses(&["127.0.0.1:7"])));
    }
}
