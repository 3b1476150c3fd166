//! Labels as parts of an entry: see [`crate::discovery::fields`].

use crate::discovery::endpoint::codec::{put_port, read_port};
use crate::discovery::endpoint::cut;
use crate::discovery::entry::{Octets, Poison};
use crate::discovery::fields::{self, Fields};
use crate::discovery::labels::{Labels, Order};
use crate::wire::name::Name;

mod tag {
    pub(super) const ENABLE: u8 = 1;
    pub(super) const NAME: u8 = 2;
    pub(super) const ALIAS: u8 = 3;
    pub(super) const VIP: u8 = 4;
    pub(super) const TTL: u8 = 5;
    pub(super) const WEIGHT: u8 = 6;
    pub(super) const PORT: u8 = 7;
    pub(super) const TXT: u8 = 8;
    pub(super) const CNAME: u8 = 9;
    pub(super) const MX: u8 = 10;
    pub(super) const NETWORK: u8 = 11;
    pub(super) const NOT_READY: u8 = 12;
    pub(super) const ORDER: u8 = 13;
}

/// Writes labels as a part of an entry, unless there are none.
pub(in crate::discovery) fn put(fields: &mut Fields, tag: u8, labels: &Labels) {
    if *labels == Labels::default() {
        return;
    }
    fields.nested(tag, |fields| {
        fields.octet(tag::ENABLE, labels.enable.map(u8::from));
        fields.text(tag::NAME, labels.name.as_deref().unwrap_or_default());
        labels.aliases.iter().for_each(|alias| fields.text(tag::ALIAS, alias));
        fields.octet(tag::VIP, labels.vip.map(u8::from));
        fields.number(tag::TTL, labels.ttl);
        if let Some(weight) = labels.weight {
            fields.put(tag::WEIGHT, &weight.to_be_bytes());
        }
        labels.ports.iter().for_each(|port| put_port(fields, tag::PORT, port));
        for (key, value) in &labels.txt {
            fields.text(tag::TXT, &format!("{key}={value}"));
        }
        if let Some(name) = &labels.cname {
            fields.put(tag::CNAME, name.as_wire());
        }
        for (preference, host) in &labels.mx {
            fields.put(tag::MX, &[&preference.to_be_bytes(), host.as_wire()].concat());
        }
        labels.networks.iter().for_each(|network| fields.text(tag::NETWORK, network));
        fields.octet(tag::NOT_READY, labels.publish_not_ready.map(u8::from));
        fields.octet(tag::ORDER, labels.order.map(order_number));
    });
}

/// Reads them.
pub(in crate::discovery) fn read(octets: Octets<'_>) -> Result<Labels, Poison> {
    let mut labels = Labels::default();
    fields::read(octets, |tag, mut part| {
        match tag {
            tag::ENABLE => labels.enable = Some(read_flag(part)?),
            tag::NAME => labels.name = Some(part.text()?),
            tag::ALIAS => labels.aliases.push(part.text()?),
            tag::VIP => labels.vip = Some(read_flag(part)?),
            tag::TTL => labels.ttl = Some(part.only_number()?),
            tag::WEIGHT => {
                labels.weight = Some(part.u16()?);
                part.end()?;
            }
            tag::PORT => labels.ports.push(read_port(part)?),
            tag::TXT => {
                let text = part.text()?;
                let (key, value) = text.split_once('=').ok_or(Poison::Layout)?;
                labels.txt.push((key.to_owned(), value.to_owned()));
            }
            tag::CNAME => labels.cname = Some(read_name(part)?),
            tag::MX => labels.mx.push((part.u16()?, read_name(part)?)),
            tag::NETWORK => labels.networks.push(part.text()?),
            tag::NOT_READY => labels.publish_not_ready = Some(read_flag(part)?),
            tag::ORDER => {
                let number = part.only_octet()?;
                let known = Order::ALL.into_iter().find(|order| order_number(*order) == number);
                labels.order = Some(known.ok_or(Poison::Layout)?);
            }
            _ => {}
        }
        Ok(())
    })?;
    keeps_rules(&labels)?;
    Ok(labels)
}

/// What a user could not have typed is not taken from others either.
fn keeps_rules(labels: &Labels) -> Result<(), Poison> {
    let texts = labels.name.iter().chain(&labels.aliases).chain(&labels.networks);
    let is_cut = texts.into_iter().any(|text| {
        let mut short = text.clone();
        cut(&mut short);
        short != *text || text.is_empty()
    });
    let is_long = labels.txt.iter().any(|(key, value)| key.len() + 1 + value.len() > 255 || key.is_empty());
    let is_late = labels.ttl.is_some_and(|ttl| ttl > crate::base::limits::TTL_SECONDS_MAX);
    if is_cut || is_long || is_late {
        return Err(Poison::Rule);
    }
    if labels.clone().normalized() != *labels { Err(Poison::NotCanonical) } else { Ok(()) }
}

fn order_number(order: Order) -> u8 {
    match order {
        Order::Nearest => 0,
        Order::Random => 1,
        Order::Rotate => 2,
        Order::Fixed => 3,
    }
}

fn read_flag(part: Octets<'_>) -> Result<bool, Poison> {
    match part.only_octet()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Poison::Layout),
    }
}

fn read_name(part: Octets<'_>) -> Result<Name, Poison> {
    let name = Name::from_wire(part.0).map_err(|_| Poison::Rdata)?;
    if name.as_wire().len() != part.0.len() || part.0.iter().any(u8::is_ascii_uppercase) {
        return Err(Poison::Rdata);
    }
    Ok(name)
}
