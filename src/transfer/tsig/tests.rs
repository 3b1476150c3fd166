//! Both sides against each other, and what a stranger can do to the octets between them.

use super::client::{Exchange, Unproven};
use super::record::find;
use super::server::{Checked, Session, check};
use super::*;
use crate::base::time::WallSeconds;
use std::sync::Arc;

const NOW: WallSeconds = WallSeconds(1_700_000_000);
/// `a. SOA`.
const QUERY: &[u8] = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x01a\0\0\x06\0\x01";

fn key(name: &str, algorithm: Hmac, secret: &[u8]) -> Arc<Key> {
    Arc::new(Key::new(&Name::parse(name).unwrap(), algorithm, secret))
}

fn xfr() -> Arc<Key> {
    key("Xfr.", Hmac::Sha256, &[7; 32])
}

fn checked(message: &[u8], keys: &[Arc<Key>], now: WallSeconds) -> Checked {
    check(message, &find(message).unwrap().unwrap(), keys.iter(), now)
}

fn session(message: &[u8], keys: &[Arc<Key>]) -> Session {
    match checked(message, keys, NOW) {
        Checked::Good(session) => session,
        Checked::Bad(rejection) => panic!("{}", rejection.error),
        Checked::Malformed => panic!("malformed"),
    }
}

fn error(message: &[u8], keys: &[Arc<Key>], now: WallSeconds) -> Option<TsigError> {
    match checked(message, keys, now) {
        Checked::Bad(rejection) => Some(rejection.error),
        Checked::Good(_) | Checked::Malformed => None,
    }
}

/// An answer to [`QUERY`], with something of its own in it.
fn answer(octet: u8) -> Vec<u8> {
    let mut answer = QUERY.to_vec();
    answer[2] |= 0x80;
    answer[13] = octet;
    answer
}

fn signed(session: &mut Session, octet: u8) -> Vec<u8> {
    let mut buffer = answer(octet);
    let len = buffer.len();
    buffer.resize(len + session.octets(), 0);
    assert_eq!(session.sign(&mut buffer, len, NOW), Some(buffer.len()));
    buffer
}

#[test]
fn what_one_side_signs_the_other_takes_whatever_the_algorithm() {
    for algorithm in [Hmac::Sha256, Hmac::Sha384, Hmac::Sha512] {
        let key = key("xfr.example.", algorithm, b"a secret of some length");
        let mut request = QUERY.to_vec();
        let mut exchange = Exchange::begin(&key, &mut request, NOW);
        assert_eq!(request.len(), QUERY.len() + key.record_octets());
        let mut session = session(&request, &[xfr(), key]);
        for octet in [b'a', b'b', b'c'] {
            exchange.heard(&signed(&mut session, octet), NOW).unwrap();
        }
        assert_eq!(exchange.finish(), Ok(()));
    }
}

/// The example of a signed request in the style of RFC 8945: the octets that are signed, written down by hand.
#[test]
fn the_signature_is_that_of_the_octets_of_the_rfc() {
    let key = xfr();
    let mut request = QUERY.to_vec();
    Exchange::begin(&key, &mut request, NOW);
    let mut octets = QUERY.to_vec();
    octets.extend(b"\x03xfr\0\0\xff\0\0\0\0\x0bhmac-sha256\0\0\0\x65\x53\xf1\x00\x01\x2c\0\0\0\0");
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[7; 32]), &octets);
    assert_eq!(find(&request).unwrap().unwrap().mac, tag.as_ref());
}

#[test]
fn each_error_has_its_own_name() {
    let key = xfr();
    let mut request = QUERY.to_vec();
    Exchange::begin(&key, &mut request, NOW);
    let keys = [Arc::clone(&key)];
    assert_eq!(error(&request, &keys, NOW), None);
    let others =
        [super::tests::key("xfr.", Hmac::Sha512, &[7; 32]), super::tests::key("y.", Hmac::Sha256, &[7; 32])];
    assert_eq!(error(&request, &others, NOW), Some(TsigError::BadKey));
    let other_secret = [super::tests::key("xfr.", Hmac::Sha256, &[8; 32])];
    assert_eq!(error(&request, &other_secret, NOW), Some(TsigError::BadSig));
    for late in [NOW.0 + 301, 1 << 47] {
        assert_eq!(error(&request, &keys, WallSeconds(late)), Some(TsigError::BadTime));
    }
    assert_eq!(error(&request, &keys, WallSeconds(NOW.0 + 300)), None);
    assert_eq!(error(&request, &keys, WallSeconds(NOW.0 - 300)), None);
    assert_eq!(error(&request, &keys, WallSeconds(NOW.0 - 301)), Some(TsigError::BadTime));
    // What is changed on the way is not what was signed.
    let mut changed = request.clone();
    changed[13] ^= 1;
    assert_eq!(error(&changed, &keys, NOW), Some(TsigError::BadSig));
}

/// The same request with its signature cut to `len` octets.
fn cut(request: &[u8], len: usize) -> Vec<u8> {
    let tsig = find(request).unwrap().unwrap();
    let whole = tsig.mac.len();
    let mac_at = request.len() - 6 - whole;
    let mut cut = request[..mac_at + len].to_vec();
    cut.extend(&request[mac_at + whole..]);
    let rdata_len_at = tsig.at + tsig.key.as_wire().len() + 8;
    for (at, less) in [(rdata_len_at, whole - len), (mac_at - 2, whole - len)] {
        let value = u16::from_be_bytes([cut[at], cut[at + 1]]) - less as u16;
        cut[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }
    cut
}

#[test]
fn a_signature_that_was_cut_short_is_told_from_a_wrong_one_and_from_none() {
    let keys = [xfr()];
    let mut request = QUERY.to_vec();
    Exchange::begin(&keys[0], &mut request, NOW);
    for len in 16..32 {
        assert_eq!(error(&cut(&request, len), &keys, NOW), Some(TsigError::BadTrunc), "{len}");
    }
    for len in [0, 1, 9, 10, 15] {
        assert!(matches!(checked(&cut(&request, len), &keys, NOW), Checked::Malformed), "{len}");
    }
    let mut wrong = cut(&request, 20);
    let at = wrong.len() - 7;
    wrong[at] ^= 1;
    assert_eq!(error(&wrong, &keys, NOW), Some(TsigError::BadSig));
}

#[test]
fn a_late_request_is_told_the_time_with_a_signature() {
    let keys = [xfr()];
    let mut request = QUERY.to_vec();
    let mut exchange = Exchange::begin(&keys[0], &mut request, NOW);
    let late = WallSeconds(NOW.0 + 1_000);
    let Checked::Bad(mut rejection) = checked(&request, &keys, late) else { panic!("taken") };
    let mut reply = answer(b'a');
    let len = reply.len();
    reply.resize(len + keys[0].error_octets(), 0);
    let tsig = find(&request).unwrap().unwrap();
    assert_eq!(rejection.append(&tsig, &mut reply, len, late), Some(reply.len()));
    let told = find(&reply).unwrap().unwrap();
    assert_eq!((told.time, told.error, told.other), (NOW, 18, &time_octets(late)[..]));
    assert_eq!(exchange.heard(&reply, NOW), Err(Unproven::Refused(18)));
}

#[test]
fn a_signature_that_was_cut_short_is_told_with_one_and_after_the_time() {
    let keys = [xfr()];
    let mut request = QUERY.to_vec();
    Exchange::begin(&keys[0], &mut request, NOW);
    for len in [16, 31] {
        let request = cut(&request, len);
        let late = WallSeconds(NOW.0 + 1_000);
        assert_eq!(error(&request, &keys, late), Some(TsigError::BadTime));
        let Checked::Bad(mut rejection) = checked(&request, &keys, NOW) else { panic!("taken") };
        let mut reply = answer(b'a');
        let whole = reply.len();
        reply.resize(whole + keys[0].error_octets(), 0);
        let tsig = find(&request).unwrap().unwrap();
        let len = rejection.append(&tsig, &mut reply, whole, NOW).unwrap();
        reply.truncate(len);
        let told = find(&reply).unwrap().unwrap();
        assert_eq!((told.time, told.error, told.other), (NOW, 22, &b""[..]));
        // By the request's signature as it came (RFC 8945 §4.3.1).
        let mac = keys[0].mac().prior(tsig.mac).message(&answer(b'a')).variables(&told.variables()).finish();
        assert_eq!(told.mac, mac.as_ref());
    }
}

#[test]
fn a_wrong_key_is_told_without_a_signature() {
    let mut request = QUERY.to_vec();
    let mut exchange = Exchange::begin(&xfr(), &mut request, NOW);
    let Checked::Bad(mut rejection) = checked(&request, &[], NOW) else { panic!("taken") };
    let (mut reply, tsig) = (answer(b'a'), find(&request).unwrap().unwrap());
    let len = reply.len();
    reply.resize(len + 200, 0);
    let len = rejection.append(&tsig, &mut reply, len, NOW).unwrap();
    assert_eq!(find(&reply[..len]).unwrap().unwrap().mac, b"");
    assert_eq!(exchange.heard(&reply[..len], NOW), Err(Unproven::Refused(17)));
}

#[test]
fn a_stream_may_leave_out_signatures_between_the_first_and_the_last_message() {
    let key = xfr();
    let mut request = QUERY.to_vec();
    let mut exchange = Exchange::begin(&key, &mut request, NOW);
    let mut session = session(&request, &[Arc::clone(&key)]);
    assert_eq!(exchange.heard(&answer(b'a'), NOW), Err(Unproven::Unsigned));
    exchange.heard(&signed(&mut session, b'a'), NOW).unwrap();
    let between: Vec<Vec<u8>> = (0..99).map(|number| answer(b'a' + number % 20)).collect();
    for message in &between {
        exchange.heard(message, NOW).unwrap();
    }
    assert_eq!(exchange.finish(), Err(Unproven::Unsigned));
    assert_eq!(exchange.heard(&answer(b'a'), NOW), Err(Unproven::Unsigned), "the hundredth");
    // The last one covers all of them: signed by hand, as no server here leaves any out.
    let mut last = answer(b'z');
    let variables = Variables { time: NOW, fudge: 300, error: 0, other: &[] };
    let prior = session.prior.get(..32).unwrap();
    let mac = key.mac().prior(prior).message(&between.concat()).message(&last).timers(&variables).finish();
    let len = last.len();
    last.resize(len + key.record_octets(), 0);
    record::append(&mut last, len, &record::Signer::from(&*key), &variables, mac.as_ref()).unwrap();
    exchange.heard(&last, NOW).unwrap();
    assert_eq!(exchange.finish(), Ok(()));
}

#[test]
fn a_message_of_a_stream_that_is_left_out_or_changed_breaks_the_chain() {
    for fault in 0..3 {
        let key = xfr();
        let mut request = QUERY.to_vec();
        let mut exchange = Exchange::begin(&key, &mut request, NOW);
        let mut session = session(&request, &[Arc::clone(&key)]);
        let mut messages: Vec<Vec<u8>> = (b'a'..b'd').map(|octet| signed(&mut session, octet)).collect();
        match fault {
            0 => drop(messages.remove(1)),
            1 => messages.swap(1, 2),
            _ => messages[1][13] ^= 1,
        }
        let all = messages.iter().map(|message| exchange.heard(message, NOW)).collect::<Result<Vec<_>, _>>();
        assert_eq!(all, Err(Unproven::BadSig), "{fault}");
    }
}

#[test]
fn a_record_elsewhere_than_at_the_end_is_malformed() {
    let mut request = QUERY.to_vec();
    Exchange::begin(&xfr(), &mut request, NOW);
    assert!(find(QUERY).unwrap().is_none());
    let mut behind = request.clone();
    behind.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
    behind[11] = 2;
    assert!(find(&behind).is_err());
    let mut twice = request.clone();
    twice.extend(&request[QUERY.len()..]);
    twice[11] = 2;
    assert!(find(&twice).is_err());
    for len in QUERY.len()..request.len() {
        assert!(find(&request[..len]).is_err(), "{len}");
    }
    // In the answer section.
    let mut misplaced = request;
    (misplaced[7], misplaced[11]) = (1, 0);
    assert!(find(&misplaced).is_err());
}

use super::mac::{Variables, time_octets};
