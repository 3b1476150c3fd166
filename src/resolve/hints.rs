//! Where a walk from the root begins: the root's name servers (RFC 9609) and its trust anchors (RFC 7958). Built in
//! is what IANA publishes; others come as records.

use crate::base::limits::{ROOT_SERVER_ADDRESSES_MAX, ROOT_SERVERS_MAX};
use crate::wire::name::Name;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::section::Record;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A name server of the root and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootServer {
    /// Its name, in the case it came in.
    pub name: Name,
    /// Its addresses, none twice; never empty.
    pub addresses: Vec<IpAddr>,
}

/// IANA's root servers as of its file of 2026: the letter, then the addresses ("Root Servers" at iana.org). All are
/// below `root-servers.net.`
const ROOT_SERVERS: [(u8, [u8; 4], [u16; 8]); 13] = [
    (b'a', [198, 41, 0, 4], [0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30]),
    (b'b', [170, 247, 170, 2], [0x2801, 0x1b8, 0x10, 0, 0, 0, 0, 0xb]),
    (b'c', [192, 33, 4, 12], [0x2001, 0x500, 2, 0, 0, 0, 0, 0xc]),
    (b'd', [199, 7, 91, 13], [0x2001, 0x500, 0x2d, 0, 0, 0, 0, 0xd]),
    (b'e', [192, 203, 230, 10], [0x2001, 0x500, 0xa8, 0, 0, 0, 0, 0xe]),
    (b'f', [192, 5, 5, 241], [0x2001, 0x500, 0x2f, 0, 0, 0, 0, 0xf]),
    (b'g', [192, 112, 36, 4], [0x2001, 0x500, 0x12, 0, 0, 0, 0, 0xd0d]),
    (b'h', [198, 97, 190, 53], [0x2001, 0x500, 1, 0, 0, 0, 0, 0x53]),
    (b'i', [192, 36, 148, 17], [0x2001, 0x7fe, 0, 0, 0, 0, 0, 0x53]),
    (b'j', [192, 58, 128, 30], [0x2001, 0x503, 0xc27, 0, 0, 0, 2, 0x30]),
    (b'k', [193, 0, 14, 129], [0x2001, 0x7fd, 0, 0, 0, 0, 0, 1]),
    (b'l', [199, 7, 83, 42], [0x2001, 0x500, 0x9f, 0, 0, 0, 0, 0x42]),
    (b'm', [202, 12, 27, 33], [0x2001, 0xdc3, 0, 0, 0, 0, 0, 0x35]),
];

/// The root servers that IANA publishes.
pub fn root_servers() -> Vec<RootServer> {
    let server = |(letter, v4, v6): (u8, [u8; 4], [u16; 8])| {
        let name = Name::parse(&format!("{}.root-servers.net.", char::from(letter))).ok()?;
        let addresses = vec![IpAddr::V4(Ipv4Addr::from(v4)), IpAddr::V6(Ipv6Addr::from(v6))];
        Some(RootServer { name, addresses })
    };
    ROOT_SERVERS.into_iter().filter_map(server).collect()
}

/// The root servers that these records name: NS of the root, A and AAAA of their hosts. Others do not count, nor does
/// a host without an address, nor what is beyond the bounds. In the order of the NS records.
pub fn servers_of(records: &[Record]) -> Vec<RootServer> {
    let mut servers: Vec<RootServer> = Vec::new();
    let hosts = records.iter().filter(|record| record.rtype == RecordType::NS && record.name.is_root());
    for name in hosts.filter_map(|record| Name::from_wire(&record.rdata).ok()) {
        if servers.len() == ROOT_SERVERS_MAX {
            break;
        }
        if servers.iter().any(|known| known.name == name) {
            continue;
        }
        let mut addresses = Vec::new();
        for address in records.iter().filter(|record| record.name == name).filter_map(address_of) {
            if addresses.len() < ROOT_SERVER_ADDRESSES_MAX && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if !addresses.is_empty() {
            servers.push(RootServer { name, addresses });
        }
    }
    servers
}

/// The address that an A or AAAA record holds.
pub fn address_of(record: &Record) -> Option<IpAddr> {
    match record.rtype {
        RecordType::A => <[u8; 4]>::try_from(&record.rdata[..]).ok().map(IpAddr::from),
        RecordType::AAAA => <[u8; 16]>::try_from(&record.rdata[..]).ok().map(IpAddr::from),
        _ => None,
    }
}

/// DS records of the root's keys (RFC 4034 §5.1): key tag, algorithm 8 (RSA with SHA-256), digest type 2 (SHA-256),
/// digest. 20326 signs since 2018, 38696 is its successor ("Trust Anchors and Keys for the Root Zone" at iana.org).
const ROOT_ANCHORS: [&[u8; 36]; 2] = [
    b"\x4f\x66\x08\x02\
      \xe0\x6d\x44\xb8\x0b\x8f\x1d\x39\xa9\x5c\x0b\x0d\x7c\x65\xd0\x84\
      \x58\xe8\x80\x40\x9b\xbc\x68\x34\x57\x10\x42\x37\xc7\xf8\xec\x8d",
    b"\x97\x28\x08\x02\
      \x68\x3d\x2d\x0a\xcb\x8c\x9b\x71\x2a\x19\x48\xb2\x7f\x74\x12\x19\
      \x29\x8d\x0a\x45\x0d\x61\x2c\x48\x3a\xf4\x44\xa4\xc0\xfb\x2b\x16",
];
/// Seconds; it is never sent.
const ROOT_ANCHOR_TTL: u32 = 172_800;

/// The trust anchors of the root that IANA publishes, as DS records.
pub fn root_anchors() -> Vec<Record> {
    let anchor = |rdata: &[u8; 36]| Record {
        name: Name::ROOT,
        rtype: RecordType::DS,
        class: Class::IN,
        ttl: ROOT_ANCHOR_TTL,
        rdata: rdata.to_vec(),
    };
    ROOT_ANCHORS.into_iter().map(anchor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, rtype: RecordType, rdata: &[u8]) -> Record {
        Record { name: Name::parse(name).unwrap(), rtype, class: Class::IN, ttl: 1, rdata: rdata.to_vec() }
    }

    fn ns(of: &str, host: &str) -> Record {
        record(of, RecordType::NS, Name::parse(host).unwrap().as_wire())
    }

    fn told(servers: &[RootServer]) -> Vec<String> {
        let server = |server: &RootServer| {
            let addresses: Vec<String> = server.addresses.iter().map(ToString::to_string).collect();
            format!("{} {}", server.name, addresses.join(" "))
        };
        servers.iter().map(server).collect()
    }

    #[test]
    fn thirteen_root_servers_are_built_in_each_with_an_address_of_both_kinds() {
        let servers = told(&root_servers());
        assert_eq!(servers.len(), 13);
        for line in [
            "a.root-servers.net. 198.41.0.4 2001:503:ba3e::2:30",
            "b.root-servers.net. 170.247.170.2 2801:1b8:10::b",
            "g.root-servers.net. 192.112.36.4 2001:500:12::d0d",
            "m.root-servers.net. 202.12.27.33 2001:dc3::35",
        ] {
            assert!(servers.iter().any(|server| server == line), "{line}\n{servers:#?}");
        }
        let mut addresses: Vec<IpAddr> = root_servers().into_iter().flat_map(|one| one.addresses).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 26);
    }

    #[test]
    fn two_keys_of_the_root_are_built_in() {
        let tags: Vec<u16> =
            root_anchors().iter().map(|ds| u16::from_be_bytes([ds.rdata[0], ds.rdata[1]])).collect();
        assert_eq!(tags, [20_326, 38_696]);
    }

    #[test]
    fn servers_are_the_hosts_of_the_root_that_have_an_address() {
        let records = [
            record("A.test.", RecordType::A, &[192, 0, 2, 1]),
            ns(".", "b.test."),
            ns(".", "a.test."),
            ns(".", "A.test."),
            ns(".", "c.test."),
            ns("test.", "d.test."),
            record("a.test.", RecordType::AAAA, &[0; 16]),
            record("a.test.", RecordType::A, &[192, 0, 2, 1]),
            record("b.test.", RecordType::A, &[192, 0, 2, 2]),
            record("b.test.", RecordType::A, &[192, 0, 2]),
            record("d.test.", RecordType::A, &[192, 0, 2, 4]),
        ];
        assert_eq!(told(&servers_of(&records)), ["b.test. 192.0.2.2", "a.test. 192.0.2.1 ::"]);
        assert!(servers_of(&[]).is_empty());
    }

    #[test]
    fn more_servers_and_addresses_than_anybody_has_are_left_out() {
        let mut records: Vec<Record> = (0..40).map(|i| ns(".", &format!("h{i}."))).collect();
        for i in 0..40 {
            let name = format!("h{i}.");
            records.extend((0..20).map(|low| record(&name, RecordType::A, &[192, 0, 2, low])));
        }
        let servers = servers_of(&records);
        assert_eq!(servers.len(), ROOT_SERVERS_MAX);
        assert!(servers.iter().all(|server| server.addresses.len() == ROOT_SERVER_ADDRESSES_MAX));
    }
}
