//! Transfers as servers send them, in one message or in many; and what none may send.

use super::*;
use crate::base::time::WallSeconds;
use crate::transfer::message::question;
use crate::wire::key::NameKey;
use crate::wire::page::Page;
use crate::wire::query::{Accepted, accept};

const NOW: WallSeconds = WallSeconds(0);

fn origin() -> Name {
    Name::parse("z.").unwrap()
}

fn soa(serial: u32) -> Vec<u8> {
    let mut rdata = b"\0\0".to_vec();
    [serial, 2, 3, 4, 5].iter().for_each(|field| rdata.extend(field.to_be_bytes()));
    rdata
}

/// A record for short: an SOA by its serial, else an A of that host.
#[derive(Clone, Copy)]
enum R {
    Soa(u32),
    A(u8),
}
use R::{A, Soa};

/// One message with these records, in answer to `asked`.
fn message(asked: &[u8], records: &[R]) -> Vec<u8> {
    let mut buffer = vec![0; 4_096];
    let (Accepted::Query(shape) | Accepted::Special(shape)) = accept(asked, &mut NameKey::default()) else {
        panic!("no question")
    };
    let mut page = Page::begin(&mut buffer, &shape.of(asked), 4_096);
    for record in records {
        let (owner, rtype, rdata) = match record {
            Soa(serial) => (b"\x01z\0".to_vec(), RecordType::SOA, soa(*serial)),
            A(host) => (vec![1, *host, 1, b'z', 0], RecordType::A, vec![192, 0, 2, *host]),
        };
        page.record(&owner, (rtype, 60), &rdata).unwrap();
    }
    let len = page.finish();
    buffer.truncate(len);
    buffer
}

/// What comes of messages, to who has `have` and asks for changes, or has nothing.
fn came(have: Option<u32>, messages: &[&[R]]) -> Result<Option<Came>, Wrong> {
    let soa = have.map(soa);
    let qtype = if have.is_some() { RecordType::IXFR } else { RecordType::AXFR };
    let asked = question(7, &origin(), qtype, soa.as_deref());
    let mut incoming = Incoming::new(asked.clone(), &origin(), have.map(Serial), None, 1_000);
    let mut outcome = None;
    for records in messages {
        assert_eq!(outcome, None, "there is more behind the end");
        outcome = incoming.message(&message(&asked, records), NOW)?;
    }
    Ok(outcome)
}

/// The same in short: `w` and the hosts of a whole zone, or for each step its serials, what goes and what comes.
fn told(have: Option<u32>, messages: &[&[R]]) -> String {
    let text = |run: &[u8]| {
        let one = |record: Record<'_>| match record.rtype {
            RecordType::SOA => format!("{} ", serial_of(record.rdata).0),
            _ => char::from(record.owner[1]).to_string(),
        };
        plain::records(run).map(one).collect::<String>()
    };
    match came(have, messages) {
        Ok(Some(Came::Current(serial))) => format!("current {}", serial.0),
        Ok(Some(Came::Whole(run))) => format!("whole {}", text(&run)),
        Ok(Some(Came::Steps(steps))) => {
            let steps: Vec<String> = steps.iter().map(|step| text(step.records())).collect();
            format!("steps {}", steps.join(" | "))
        }
        Ok(None) => "more".to_owned(),
        Err(wrong) => format!("wrong: {wrong}"),
    }
}

#[test]
fn zones_and_steps_come_in_one_message_or_in_many() {
    assert_eq!(told(None, &[&[Soa(3), A(b'a'), A(b'b'), Soa(3)]]), "whole 3 ab");
    assert_eq!(told(None, &[&[Soa(3)], &[A(b'a')], &[A(b'b')], &[Soa(3)]]), "whole 3 ab");
    assert_eq!(told(None, &[&[Soa(3), Soa(3)]]), "whole 3 ");
    assert_eq!(told(None, &[&[Soa(3), A(b'a')]]), "more");
    let steps = [Soa(3), Soa(1), A(b'a'), Soa(2), A(b'b'), Soa(2), Soa(3), A(b'c'), Soa(3)];
    let expected = "steps 1 a2 b | 2 3 c";
    assert_eq!(told(Some(1), &[&steps]), expected);
    let singly: Vec<&[R]> = steps.chunks(1).collect();
    assert_eq!(told(Some(1), &singly), expected);
    // All of it instead, to who asked for changes.
    assert_eq!(told(Some(1), &[&[Soa(3), A(b'a'), Soa(3)]]), "whole 3 a");
    // Nothing new: a version that is ours, or an older one.
    assert_eq!(told(Some(3), &[&[Soa(3)]]), "current 3");
    assert_eq!(told(Some(3), &[&[Soa(2)]]), "current 2");
}

#[test]
fn what_cannot_be_is_refused() {
    let no = |have, records: &[R], expected: &str| {
        assert_eq!(told(have, &[records]), format!("wrong: {expected}"));
    };
    no(None, &[A(b'a'), Soa(3)], "the transfer does not begin with an SOA");
    no(None, &[Soa(3), A(b'a'), Soa(4)], "the transfer ends with another SOA than it began with");
    no(None, &[Soa(3), A(b'a'), Soa(3), A(b'b')], "there are records behind the last SOA");
    no(
        Some(1),
        &[Soa(3), Soa(1), Soa(2), Soa(9), Soa(3), Soa(3)],
        "a step leads to serial 2, the next begins at 9",
    );
    no(Some(1), &[Soa(3), Soa(1), Soa(1), Soa(1)], "a step leads to serial 1, the next begins at 1");
    let endless = [&[Soa(3)][..], &[A(b'a'); 60]].concat();
    no(None, &endless, "the transfer is larger than 1000 octets");
}

#[test]
fn a_message_that_answers_something_else_ends_it() {
    let asked = question(7, &origin(), RecordType::AXFR, None);
    let fresh = || Incoming::new(asked.clone(), &origin(), None, None, 1_000);
    let right = message(&asked, &[Soa(3)]);
    for (at, value, wrong) in [
        (1, 8, "a message is no answer to what was asked"),
        (2, 0x04, "a message is no answer to what was asked"),
        (2, 0xa4, "a message is no answer to what was asked"),
        (2, 0x86, "a message over TCP is truncated"),
        (3, 5, "the primary answers REFUSED"),
        (3, 9, "the primary answers NOTAUTH"),
        (5, 0, "a message answers another question"),
        (13, b'y', "a message answers another question"),
        (7, 2, "a record of the transfer is malformed"),
    ] {
        let mut message = right.clone();
        message[at] = value;
        assert_eq!(fresh().message(&message, NOW).unwrap_err().to_string(), wrong, "{at}");
    }
    for len in 0..right.len() {
        assert!(fresh().message(&right[..len], NOW).is_err(), "{len}");
    }
    // Later messages may leave the question out (RFC 5936 §2.2.1).
    let mut incoming = fresh();
    assert_eq!(incoming.message(&right, NOW), Ok(None));
    let mut later = message(&asked, &[A(b'a')]);
    later.drain(12..12 + 7);
    // The owner's pointer to the question leads nowhere now: the apex is written out.
    later[5] = 0;
    later.splice(14..16, *b"\x01z\0");
    assert_eq!(incoming.message(&later, NOW), Ok(None));
}

#[test]
fn records_that_no_zone_has_are_refused() {
    let asked = question(7, &origin(), RecordType::AXFR, None);
    for (rtype, rdata) in [(RecordType::A, &[1, 2, 3][..]), (RecordType::ANY, &[]), (RecordType::MX, &[0])] {
        let mut buffer = vec![0; 512];
        let Accepted::Query(shape) = accept(&asked, &mut NameKey::default()) else { panic!("no question") };
        let mut page = Page::begin(&mut buffer, &shape.of(&asked), 512);
        page.record(b"\x01z\0", (RecordType::SOA, 60), &soa(3)).unwrap();
        page.record(b"\x01a\x01z\0", (rtype, 60), rdata).unwrap();
        let len = page.finish();
        let mut incoming = Incoming::new(asked.clone(), &origin(), None, None, 1_000);
        assert!(incoming.message(&buffer[..len], NOW).is_err(), "{rtype}");
    }
}

#[test]
fn a_serial_is_what_a_whole_answer_with_authority_tells() {
    let asked = question(7, &origin(), RecordType::SOA, None);
    let told = |flags: u16, records: &[R]| {
        let mut message = message(&asked, records);
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        soa_answer(&asked, &message).map_err(|wrong| wrong.to_string())
    };
    assert_eq!(told(0x8400, &[Soa(3)]), Ok(Serial(3)));
    for (flags, records, wrong) in [
        (0x8600, &[][..], "the primary's answer is truncated"),
        (0x8600, &[Soa(3)], "the primary's answer is truncated"),
        (0x8200, &[], "the primary's answer is truncated"),
        (0x8000, &[Soa(3)], "the primary answers without authority"),
        (0x8180, &[Soa(3)], "the primary answers without authority"),
        (0x8400, &[], "the primary does not tell the SOA"),
        (0x8400, &[A(b'a')], "the primary does not tell the SOA"),
        (0x8205, &[], "the primary answers REFUSED"),
        (0x0400, &[Soa(3)], "a message is no answer to what was asked"),
    ] {
        assert_eq!(told(flags, records), Err(wrong.to_owned()), "{flags:x}");
    }
}
