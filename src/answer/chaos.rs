//! The server about itself, in class CHAOS (RFC 4892).

use crate::catalog::snapshot::Snapshot;
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::query::Query;
use crate::wire::reply::{Reply, Section};
use crate::wire::rtype::{Class, RecordType};

const VERSION: &str = concat!("hivedns ", env!("CARGO_PKG_VERSION"));

/// Answers TXT for `hostname.bind`, `id.server`, `version.bind` and `version.server`; all else is refused. Not
/// authoritative: there is no such zone.
pub(super) fn answer(snapshot: &Snapshot, query: &Query<'_>, key: &NameKey, reply: &mut Reply<'_>) -> Rcode {
    let text = match key.as_wire() {
        b"\x08hostname\x04bind\0" | b"\x02id\x06server\0" => snapshot.identity(),
        b"\x07version\x04bind\0" | b"\x07version\x06server\0" => VERSION.as_bytes(),
        _ => return Rcode::Refused,
    };
    if !matches!(query.qtype(), RecordType::TXT | RecordType::ANY) {
        return Rcode::Refused;
    }
    let owner = reply.question();
    let len = [text.len() as u8];
    let record = (RecordType::TXT, Class::CH, 0);
    if reply.append_record(Section::Answer, owner, record, &[&len, text]).is_err() {
        reply.set_truncated();
    }
    Rcode::NoError
}
