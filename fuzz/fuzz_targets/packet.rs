//! Any octets as a message: at most one answer, well formed, within its limit, and never to a response.
#![no_main]

mod oracle;
#[path = "../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use support::desk::{Desk, UDP_PAYLOAD, snapshot, zone_of_text};

/// A little of everything that makes an answer long or crooked.
const ZONE: &str = r#"
$TTL 60
@ SOA ns admin 1 2 3 4 5
@ NS ns
@ NS ns.cut
@ MX 1 @
ns A 192.0.2.1
ns AAAA 2001:db8::1
* TXT "wild"
*.w CNAME b.w
*.mx MX 1 a.mx
*.mx MX 2 b.mx
*.a A 192.0.2.2
loop CNAME pool
pool CNAME loop
alias CNAME x.d
d DNAME e
e DNAME d.d
up DNAME .
self DNAME a.self
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa DNAME bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
cut NS ns.cut
cut NS ns.other.cut
cut NS ns.sibling
cut DS 1 8 2 00
ns.cut A 192.0.2.3
ns.other.cut AAAA 2001:db8::3
sibling NS ns.cut
ns.sibling A 192.0.2.4
_s SRV 0 0 1 ns
_s SRV 0 0 2 ns.cut
*.cut A 192.0.2.5
ent.ent.ent A 192.0.2.6
\000\.\255 TXT "\000"
$GENERATE 1-60 large TXT "$ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
$GENERATE 1-40 many MX $ ns
$GENERATE 1-40 hosts NS h$
$GENERATE 1-40 h$ A 192.0.2.$
"#;

fn desk() -> Desk {
    let zones = [("z.", ZONE), ("d.z.", "@ 1 SOA a b 1 2 3 4 5\n* 1 A 192.0.2.1\n"), (".", "@ 1 SOA a b 1 2 3 4 5\n")];
    let sealed = zones.map(|(origin, text)| zone_of_text(origin, text).unwrap_or_else(|faults| panic!("{faults}")));
    let mut desk = Desk::new(snapshot(&"i".repeat(255), sealed));
    desk.permit_updates();
    desk
}

fn judge(message: &[u8], reply: Option<&[u8]>, limit: usize) {
    let is_query = message.len() >= 12 && message[2] & 0x80 == 0;
    assert_eq!(reply.is_some(), is_query, "a reply to all but scraps and responses");
    let Some(reply) = reply else { return };
    assert!(reply.len() <= limit, "{} octets, {limit} allowed", reply.len());
    assert_eq!(reply[..2], message[..2], "the id");
    assert_eq!(reply[2] & 0x80, 0x80, "QR");
    assert_eq!(reply[2] & 0x78, message[2] & 0x78, "the opcode");
    let decoded = oracle::message::decode(reply).unwrap_or_else(|why| panic!("{why}: {reply:?}"));
    let repeated = 12 + decoded.question.map_or(0, |(name, ..)| name.len() + 4);
    assert_eq!(reply[12..repeated], message[12..repeated], "the question, in its own case");
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::new(desk());
}

fuzz_target!(|message: &[u8]| {
    DESK.with_borrow_mut(|desk| {
        judge(message, desk.answer_datagram(message), UDP_PAYLOAD.into());
        let by_short = desk.answer_datagram(message).map(<[u8]>::to_vec);
        assert_eq!(by_short.as_deref(), desk.answer_datagram_generally(message), "the short way differs");
        judge(message, desk.answer(message), 65_535);
    });
});
