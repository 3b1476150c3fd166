//! Messages as text, the way dig prints them.

use super::message::{AA, AD, CD, Message, QR, RA, RD, Record, TC};
use super::names::to_text;
use hivedns::wire::rtype::{Class, RecordType};
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

const RCODES: [&str; 17] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
    "NOTAUTH", "NOTZONE", "RCODE11", "RCODE12", "RCODE13", "RCODE14", "RCODE15", "BADVERS",
];
const OPCODES: [&str; 7] = ["QUERY", "IQUERY", "STATUS", "OPCODE3", "NOTIFY", "UPDATE", "DSO"];

/// The mnemonic of an rcode.
pub fn rcode(code: u16) -> String {
    RCODES.get(usize::from(code)).map_or_else(|| format!("RCODE{code}"), |name| (*name).into())
}

/// The number of a mnemonic.
pub fn rcode_from_text(text: &str) -> Option<u16> {
    RCODES.iter().position(|name| *name == text).map(|code| code as u16)
}

/// The number of an opcode's mnemonic.
pub fn opcode_from_text(text: &str) -> Option<u16> {
    OPCODES.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|code| code as u16)
}

/// The flags that are set, in dig's order.
pub fn flags(flags: u16) -> String {
    let named = [(QR, "qr"), (AA, "aa"), (TC, "tc"), (RD, "rd"), (RA, "ra"), (AD, "ad"), (CD, "cd")];
    named.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

/// A type's mnemonic.
pub fn rtype(code: u16) -> String {
    RecordType(code).to_string()
}

/// A class's mnemonic.
pub fn class(code: u16) -> String {
    Class(code).to_string()
}

/// One record on one line, fields parted by single spaces.
pub fn record(record: &Record) -> String {
    let Record { owner, rtype: code, class: of, ttl, rdata } = record;
    format!("{} {ttl} {} {} {}", to_text(owner), class(*of), rtype(*code), rdata_text(*code, rdata))
}

/// A whole message as dig would print it; sections sorted.
pub fn message(message: &Message) -> String {
    let mut text = String::new();
    let rcode = rcode(message.rcode());
    let opcode = OPCODES.get(usize::from(message.flags >> 11 & 0xf)).unwrap_or(&"OPCODE?");
    let _ = write!(text, ";; {opcode} {rcode}; flags: {}; {} octets", flags(message.flags), message.octets);
    if let Some(opt) = &message.opt {
        let _ = write!(text, "; EDNS {} udp {} flags {:04x}", opt.version, opt.payload, opt.flags);
    }
    text.push('\n');
    if let Some((name, qtype, qclass)) = &message.question {
        let _ = writeln!(text, ";{} {} {}", to_text(name), class(*qclass), rtype(*qtype));
    }
    for (records, title) in message.sections.iter().zip(["ANSWER", "AUTHORITY", "ADDITIONAL"]) {
        if !records.is_empty() {
            let _ = writeln!(text, ";; {title}");
        }
        let mut lines: Vec<_> = records.iter().map(record).collect();
        lines.sort();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// RDATA in presentation form where the type is an everyday one, else as RFC 3597 §5 writes it.
pub fn rdata_text(code: u16, rdata: &[u8]) -> String {
    known(RecordType(code), rdata).unwrap_or_else(|| {
        let hex: String = rdata.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("\\# {} {hex}", rdata.len()).trim_end().to_owned()
    })
}

fn known(rtype: RecordType, rdata: &[u8]) -> Option<String> {
    let u16_at = |at: usize| Some(u16::from_be_bytes(*rdata.get(at..)?.first_chunk()?));
    let name_at = |at: usize| rdata.get(at..).filter(|name| !name.is_empty()).map(to_text);
    Some(match rtype {
        RecordType::A => Ipv4Addr::from(<[u8; 4]>::try_from(rdata).ok()?).to_string(),
        RecordType::AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(rdata).ok()?).to_string(),
        RecordType::NS | RecordType::CNAME | RecordType::PTR | RecordType::DNAME => name_at(0)?,
        RecordType::MX => format!("{} {}", u16_at(0)?, name_at(2)?),
        RecordType::SRV => format!("{} {} {} {}", u16_at(0)?, u16_at(2)?, u16_at(4)?, name_at(6)?),
        RecordType::TXT | RecordType::HINFO | RecordType::SPF => strings(rdata)?,
        RecordType::SOA => {
            let (mname, rest) = split_name(rdata)?;
            let (rname, rest) = split_name(rest)?;
            let numbers = rest.as_chunks::<4>().0.iter().map(|c| u32::from_be_bytes(*c).to_string());
            format!("{mname} {rname} {}", numbers.collect::<Vec<_>>().join(" "))
        }
        _ => return None,
    })
}

fn split_name(octets: &[u8]) -> Option<(String, &[u8])> {
    let mut at = 0;
    while *octets.get(at)? != 0 {
        at += 1 + usize::from(octets[at]);
    }
    Some((to_text(octets), &octets[at + 1..]))
}

fn strings(mut rdata: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while let Some((&length, rest)) = rdata.split_first() {
        let (string, left) = rest.split_at_checked(length.into())?;
        let mut text = String::from("\"");
        for &octet in string {
            match octet {
                b'"' | b'\\' => {
                    text.push('\\');
                    text.push(octet as char);
                }
                0x20..=0x7e => text.push(octet as char),
                _ => text.push_str(&format!("\\{octet:03}")),
            }
        }
        parts.push(text + "\"");
        rdata = left;
    }
    Some(parts.join(" "))
}
