//! Records read out of a message, their names written out: for people and for slow paths. Nothing on the path of a
//! query reads records.

use crate::wire::name::Name;
use crate::wire::reply::Section;
use crate::wire::response::{RecordAt, Response};
use crate::wire::rtype::{Class, RecordType};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub name: Name,
    /// Its type.
    pub rtype: RecordType,
    /// Its class.
    pub class: Class,
    /// Seconds.
    pub ttl: u32,
    /// Uncompressed.
    pub rdata: Vec<u8>,
}

impl From<RecordAt<'_>> for Record {
    fn from(record: RecordAt<'_>) -> Record {
        let mut rdata = Vec::with_capacity(record.rdata().len());
        record.write_rdata(&mut rdata);
        let RecordAt { rtype, class, ttl, .. } = record;
        Record { name: record.owner(), rtype, class, ttl, rdata }
    }
}

/// The records of a section.
pub fn records(response: &Response<'_>, section: Section) -> Vec<Record> {
    response.records(section).map(Record::from).collect()
}

/// The records of the answer section of a message with one question; `None` if it cannot be read.
pub fn answers(message: &[u8]) -> Option<Vec<Record>> {
    Some(records(&Response::read(message)?, Section::Answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a.b. MX`, answered with two records, names pointing back.
    const MESSAGE: &[u8] = b"\0\x01\x84\0\0\x01\0\x02\0\0\0\0\x01a\x01b\0\0\x0f\0\x01\
        \xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x06\0\x0a\x01m\xc0\x0e\
        \xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x04\0\x14\xc0\x0c";

    #[test]
    fn pointers_are_followed_in_owners_and_in_rdata() {
        let records = answers(MESSAGE).unwrap();
        assert!(records.iter().all(|record| record.name.to_string() == "a.b." && record.ttl == 60));
        let rdatas: Vec<&[u8]> = records.iter().map(|record| &record.rdata[..]).collect();
        assert_eq!(rdatas, [&b"\0\x0a\x01m\x01b\0"[..], b"\0\x14\x01a\x01b\0"]);
    }
}
