//! Answering allocates nothing: every kind of verdict, batched sockets included, under an allocator that counts
//! what its own thread asks for.

#[path = "support/counting.rs"]
mod counting;
#[path = "oracle/mod.rs"]
mod oracle;
mod support;

use counting::counted;
use hivedns::base::time::Moment;
use hivedns::catalog::delta::Delta;
use hivedns::catalog::lease::{Lease, OwnerId, Source};
use hivedns::catalog::services::Terms;
use hivedns::catalog::state::State;
use hivedns::os::udp::{BATCH, Batch, Sent, want_local_addresses};
use hivedns::wire::name::Name;
use hivedns::wire::rtype::RecordType;
use hivedns::zone::Zone;
use oracle::message::{self, Edns};
use oracle::names;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;
use support::desk::{Desk, snapshot, zone_of_text};

const ZONE: &str = "\
$TTL 60
@ SOA ns admin 1 2 3 4 5
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
alias CNAME chain
chain CNAME more.d
d DNAME e
more.e A 192.0.2.3
*.wild MX 10 ns
*.wild MX 20 mx.wild
cut NS ns.cut
cut NS ns
ns.cut A 192.0.2.4
ns.cut AAAA 2001:db8::4
mx MX 10 ns
_s SRV 0 0 53 www
loop CNAME pool
pool CNAME loop
self DNAME a.self
";

fn edns(payload: u16, version: u8, options: &[u8]) -> Edns {
    Edns { payload, dnssec_ok: true, version, options: options.to_vec() }
}

/// Messages by what becomes of them: what they are called, the message, the code expected (none: silence).
fn messages() -> Vec<(&'static str, Vec<u8>, Option<u16>)> {
    let of = |name: &str, qtype, qclass, edns: Option<&Edns>| {
        message::query(1, message::RD, &names::from_text(name).expect("a name"), qtype, qclass, edns)
    };
    let plain = |name: &str, qtype| of(name, qtype, 1, None);
    let changed = |at: usize, bits: u8| {
        let mut message = plain("www.z.", 1);
        message[at] |= bits;
        message
    };
    let nsid = edns(1232, 0, &[0, 3, 0, 0]);
    vec![
        ("exact", plain("WWW.z.", 1), Some(0)),
        ("exact with EDNS and NSID", of("www.z.", 1, 1, Some(&nsid)), Some(0)),
        ("chain of aliases", plain("alias.z.", 1), Some(0)),
        ("DNAME", plain("a.b.d.z.", 1), Some(3)),
        ("DNAME many times", plain("x.self.z.", 1), Some(0)),
        ("loop", plain("loop.z.", 1), Some(0)),
        ("wildcard", plain("a.b.wild.z.", 15), Some(0)),
        ("referral with glue", plain("x.cut.z.", 1), Some(0)),
        ("NXDOMAIN", plain("a.b.c.d.e.f.none.z.", 1), Some(3)),
        ("NODATA", plain("www.z.", 28), Some(0)),
        ("additional", plain("mx.z.", 15), Some(0)),
        ("SRV", plain("_s.z.", 33), Some(0)),
        ("apex", plain("z.", 2), Some(0)),
        ("ANY", plain("z.", 255), Some(0)),
        ("CHAOS", of("version.bind.", 16, 3, None), Some(0)),
        ("refused", plain("www.elsewhere.", 1), Some(5)),
        ("transfer, which takes a stream", plain("z.", 252), Some(4)),
        ("FORMERR", changed(5, 2), Some(1)),
        ("NOTIMP", changed(2, 0x10), Some(4)),
        ("an update that nobody may send", changed(2, 0x28), Some(9)),
        ("BADVERS", of("www.z.", 1, 1, Some(&edns(1232, 1, &[]))), Some(16)),
        ("a response", changed(2, 0x80), None),
        ("a scrap", plain("www.z.", 1)[..11].to_vec(), None),
    ]
}

fn desk() -> Desk {
    Desk::new(snapshot("identity", [zone_of_text("z.", ZONE).expect("a zone")]))
}

#[test]
fn the_allocator_counts() {
    assert!(counted(|| Vec::<u8>::with_capacity(1)).0 >= 1);
}

#[test]
fn no_verdict_allocates() {
    let mut desk = desk();
    let messages = messages();
    for (what, message, rcode) in &messages {
        let reply = desk.answer_datagram(message).map(|reply| message::decode(reply).expect(what).rcode());
        assert_eq!(reply, *rcode, "{what}");
    }
    for (what, message, _) in &messages {
        for limit in [65_535, 60, 100, 200] {
            let (allocations, _) = counted(|| desk.answer_within(message, limit).is_some());
            assert_eq!(allocations, 0, "{what}, at most {limit} octets");
        }
    }
}

/// Zones that prove what does not exist by names and by hashes. What a signature says does not matter here, nor where
/// a record of the chain leads.
fn signed_zone(origin: &str, denies: &str) -> Zone {
    let sign = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (owner, rtype) = (words[0], words[1]);
        format!("{line}\n{owner} RRSIG {rtype} 15 1 60 20300101000000 20200101000000 1 {origin} AAAA\n")
    };
    zone_of_text(
        origin,
        &format!("$TTL 60\n{}", format!("{ZONE_SIGNED}{denies}").lines().map(sign).collect::<String>()),
    )
    .expect("a zone")
}

const ZONE_SIGNED: &str = "\
@ SOA ns admin 1 2 3 4 5
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
alias CNAME a.wild
*.wild A 192.0.2.3
d DNAME wild
deep.er TXT x
cut NS ns.cut
ns.cut A 192.0.2.4
safe NS ns
safe DS 1 13 2 00
";

/// NSEC at each name.
const BY_NAMES: &str = "\
@ NSEC alias A
alias NSEC cut A
cut NSEC d NS
d NSEC deep.er A
deep.er NSEC ns A
ns NSEC safe A
safe NSEC *.wild NS DS
*.wild NSEC www A
www NSEC @ A
";

/// The first of all hashes and the last: nothing is at them, all is covered by them.
const BY_HASHES: &str = "\
@ NSEC3PARAM 1 0 150 AABBCCDD
00000000000000000000000000000000 NSEC3 1 1 150 AABBCCDD VVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVV A
vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv NSEC3 1 1 150 AABBCCDD 00000000000000000000000000000000 A
";

#[test]
fn signatures_and_proofs_allocate_nothing() {
    let zones = [signed_zone("z.", BY_NAMES), signed_zone("h.", BY_HASHES)];
    let mut desk = Desk::new(snapshot("identity", zones));
    for origin in ["z.", "h."] {
        for (name, qtype, rcode, proofs) in [
            ("www.", 1, 0, false),
            ("www.", 28, 0, true),
            ("alias.", 1, 0, true),
            ("x.wild.", 1, 0, true),
            ("x.wild.", 28, 0, true),
            ("x.d.", 1, 0, true),
            ("er.", 1, 0, true),
            ("a.b.c.d.e.f.none.", 1, 3, true),
            ("x.cut.", 1, 0, true),
            ("x.safe.", 1, 0, false),
            ("cut.", 43, 0, true),
            ("", 48, 0, true),
            ("", 255, 0, false),
            ("www.", 46, 0, false),
        ] {
            let name = names::from_text(&format!("{name}{origin}")).expect("a name");
            let query = message::query(1, 0, &name, qtype, 1, Some(&edns(1232, 0, &[])));
            let text = names::to_text(&name);
            let (allocations, _) = counted(|| desk.answer_datagram(&query).is_some());
            assert_eq!(allocations, 0, "{text} {qtype}");
            let reply = message::decode(desk.answer(&query).expect("an answer")).expect("well formed");
            let mut records = reply.sections[1].iter();
            let told = records.any(|record| [47, 50].contains(&record.rtype));
            // Of names that no record is at, none encloses another one.
            let expected = proofs
                && (origin == "z." || matches!(&text[..text.len() - 2], "alias." | "x.wild." | "x.d."));
            assert_eq!((reply.rcode(), told), (rcode, expected), "{text} {qtype}: {:?}", reply.sections);
            for limit in [60, 100, 200, 300] {
                let (allocations, _) = counted(|| desk.answer_within(&query, limit).is_some());
                assert_eq!(allocations, 0, "{text} {qtype}, at most {limit} octets");
            }
        }
    }
}

/// A live zone of which some records are of a lost owner.
fn live_desk() -> Desk {
    let name = |text: &str| Name::parse(text).expect("a name");
    let mut state = State::new(support::desk::seed(), 16);
    let (ttl, negative_ttl, lease) =
        (Duration::from_secs(5), Duration::from_secs(2), Duration::from_secs(60));
    let terms = Terms { origin: name("z."), primary: name("z."), ttl, negative_ttl, lease };
    state.apply(Delta::OpenServices(Box::new(terms)));
    state.apply(Delta::Synced(true));
    let counting = Lease::Counting { spent: Duration::ZERO, at: Moment::START, restarting: false };
    for (owner, lease) in [(1, Lease::Full), (2, counting)] {
        state.apply(Delta::Lease { owner: OwnerId(owner), lease });
    }
    let mut put = |owner, of: &str, rtype, rdata: &[u8]| {
        let source = Source::Owner(OwnerId(owner));
        state.apply(Delta::PutRecords { source, name: name(of), rtype, ttl: 90, rdatas: vec![rdata.into()] });
    };
    put(1, "www.z.", RecordType::A, &[192, 0, 2, 1]);
    put(2, "www.z.", RecordType::A, &[192, 0, 2, 2]);
    put(2, "lost.z.", RecordType::CNAME, name("www.z.").as_wire());
    put(2, "*.wild.z.", RecordType::MX, &[&[0, 1], name("www.z.").as_wire()].concat());
    let mut desk = Desk::new(state.snapshot(Moment::START));
    desk.now = Moment::START + Duration::from_secs(30);
    desk
}

#[test]
fn answers_of_a_live_zone_allocate_nothing_and_count_down() {
    let mut desk = live_desk();
    for (of, qtype, rcode, records) in [
        ("www.z.", 1, 0, 2),
        ("lost.z.", 1, 0, 3),
        ("a.wild.z.", 15, 0, 1),
        ("wild.z.", 1, 0, 0),
        ("none.z.", 1, 3, 0),
    ] {
        let query = message::query(1, 0, &names::from_text(of).expect("a name"), qtype, 1, None);
        let (allocations, _) = counted(|| desk.answer_datagram(&query).is_some());
        assert_eq!(allocations, 0, "{of}");
        let reply = message::decode(desk.answer_datagram(&query).expect("an answer")).expect(of);
        assert_eq!((reply.rcode(), reply.sections[0].len()), (rcode, records), "{of}");
        // 90 s, of which 30 are over.
        assert!(reply.sections[0].iter().all(|record| record.ttl == 60), "{of}: {:?}", reply.sections);
    }
}

/// Receives, answers and sends until the socket is dry, as a worker does; how many datagrams there were.
fn turn(desk: &mut Desk, batch: &mut Batch, socket: &UdpSocket) -> (usize, Sent) {
    let (mut total, mut all) = (0, Sent::default());
    while let Ok(received) = batch.receive(socket.as_fd()) {
        let (datagrams, mut replies) = batch.split();
        for i in 0..received {
            let room = replies.buffer(i);
            if let Some(reply) = desk.answer_datagram(datagrams.get(i))
                && let Some(place) = room.get_mut(..reply.len())
            {
                place.copy_from_slice(reply);
                replies.reply(i, reply.len());
            }
        }
        let sent = batch.send(socket.as_fd());
        total += received;
        all = Sent { sent: all.sent + sent.sent, dropped: all.dropped + sent.dropped };
    }
    (total, all)
}

#[test]
fn receiving_answering_and_sending_a_batch_allocate_nothing() {
    for (bind, from, wildcard) in
        [("127.0.0.1:0", "127.0.0.1", false), ("0.0.0.0:0", "127.0.0.77", true), ("[::1]:0", "::1", false)]
    {
        let socket = UdpSocket::bind(bind).expect("loopback");
        socket.set_nonblocking(true).expect("an option");
        if wildcard {
            want_local_addresses(socket.as_fd(), false).expect("an option");
        }
        let port = socket.local_addr().expect("bound").port();
        let server = SocketAddr::new(from.parse().expect("an address"), port);
        let client = UdpSocket::bind((server.ip(), 0)).expect("loopback");
        let (mut desk, mut batch, messages) = (desk(), Batch::new(wildcard), messages());
        for round in 0..3 {
            for (_, message, _) in messages.iter().cycle().take(BATCH + 10) {
                client.send_to(message, server).expect("loopback takes it");
            }
            let (allocations, (received, sent)) = counted(|| turn(&mut desk, &mut batch, &socket));
            assert_eq!(received, BATCH + 10, "{bind}");
            assert!(sent.sent > BATCH / 2 && sent.dropped == 0, "{bind}: {sent:?}");
            assert!(round == 0 || allocations == 0, "{bind}: {allocations} in round {round}");
        }
    }
}
