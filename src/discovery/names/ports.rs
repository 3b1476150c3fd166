//! SRV records of ports, and what DNS-SD browses.

use crate::discovery::endpoint::Port;
use crate::discovery::names::contribution::{Form, Record};
use crate::discovery::names::derive::{Builder, Label, Member};
use crate::discovery::names::shape::{Shape, character_string};
use crate::discovery::names::{Row, labels};
use crate::wire::rtype::RecordType;
use crate::zone::view::{number, number64};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The weight of SRV records that no label gives another: all alike (RFC 2782).
const WEIGHT: u16 = 1;

/// The ports of a member: a label's name for a number goes before others.
pub(super) fn ports_of(shape: &Shape<'_>, member: &Member<'_>) -> BTreeSet<Port> {
    let mut ports: BTreeSet<Port> = shape.labels_of(member).ports.into_iter().collect();
    ports.extend(member.endpoint.ports.iter().cloned());
    ports.extend(shape.spec.into_iter().flat_map(|(_, spec)| spec.ports.iter().cloned()));
    ports
}

/// The SRV record that leads to a member's port (RFC 2782).
pub(super) fn srv(
    builder: &Builder<'_>,
    shape: &Shape<'_>,
    member: &Member<'_>,
    port: u16,
) -> Option<Box<[u8]>> {
    let target = shape.task_name(builder, member)?;
    let weight = shape.labels_of(member).weight.unwrap_or(WEIGHT);
    let numbers = [0, weight, port].map(u16::to_be_bytes);
    Some([&numbers.concat()[..], &target].concat().into())
}

/// The SRV records of some members, by the labels in front: of a port's name, and of its number.
pub(super) fn ports(
    builder: &Builder<'_>,
    shape: &Shape<'_>,
    told: &[Member<'_>],
) -> BTreeMap<(Label, Label), Arc<[Record]>> {
    let mut names: BTreeMap<(Label, Label), BTreeSet<Record>> = BTreeMap::new();
    for member in told {
        for port in ports_of(shape, member) {
            let Some(rdata) = srv(builder, shape, member, port.number) else { continue };
            let called = [port.name.clone(), Some(port.number.to_string())];
            let called = called.into_iter().flatten().filter_map(|name| labels::underscored(&name));
            let Some(protocol) = labels::underscored(port.protocol.as_str()) else { continue };
            for name in called {
                let records = names.entry((name, protocol.clone())).or_default();
                say_srv(shape, member, port.number, &rdata, records);
            }
        }
    }
    names.into_iter().map(|(labels, records)| (labels, records.into_iter().collect())).collect()
}

/// The record in all networks in which its target has an address.
pub(super) fn say_srv(
    shape: &Shape<'_>,
    member: &Member<'_>,
    port: u16,
    rdata: &[u8],
    records: &mut BTreeSet<Record>,
) {
    let item = number64(&[member.endpoint.id.as_bytes(), &port.to_be_bytes()].concat());
    for network in shape.attachments(member) {
        records.insert(Record {
            owner: member.owner,
            rtype: RecordType::SRV,
            item,
            network: number(network.id.as_bytes()),
            rdata: rdata.into(),
        });
    }
}

/// What DNS-SD browses (RFC 6763): kinds of services, the services of a kind, and each one's SRV and TXT.
pub(super) fn browse(builder: &mut Builder<'_>, shape: &Shape<'_>, told: &[Member<'_>]) {
    let instance = shape.joined.as_ref().unwrap_or(&shape.own).clone();
    let mut kinds: BTreeMap<(Label, Label), BTreeSet<Record>> = BTreeMap::new();
    for member in told {
        for port in ports_of(shape, member) {
            // A service's kind has a name; a number is none (RFC 6335 §5.1).
            let name = port.name.as_deref().and_then(labels::underscored);
            let (Some(name), Some(protocol)) = (name, labels::underscored(port.protocol.as_str())) else {
                continue;
            };
            let Some(rdata) = srv(builder, shape, member, port.number) else { continue };
            say_srv(shape, member, port.number, &rdata, kinds.entry((name, protocol)).or_default());
        }
    }
    // RFC 6763 §6.1: a service without attributes has one empty string.
    let texts = shape.labels.txt.iter().flat_map(|text| character_string(text).into_vec());
    let mut text: Vec<u8> = texts.collect();
    if text.is_empty() {
        text.push(0);
    }
    let text = shape.say_alike(told, &[(RecordType::TXT, text.into())]);
    for ((name, protocol), records) in kinds {
        let kind = [name.clone(), protocol.clone()];
        let (Some(kind_name), Some(instance_name)) =
            (builder.absolute(&[], &kind), builder.absolute(&[&instance], &kind))
        else {
            continue;
        };
        let kinds = shape.say_alike(told, &[(RecordType::PTR, kind_name)]);
        let instances = shape.say_alike(told, &[(RecordType::PTR, instance_name)]);
        let everywhere = Form::Viewed { stack: Arc::from(""), flags: builder.order };
        builder.add_in(Row::Port, &[b"_services", b"_dns-sd", b"_udp"], &[], everywhere.clone(), &kinds);
        builder.add_in(Row::Port, &[], &kind, everywhere, &instances);
        builder.add(Row::Port, &[&instance], &kind, &records.into_iter().collect());
        builder.add(Row::Port, &[&instance], &kind, &text);
    }
}
