//! The addresses that the containers of a unit, its virtual addresses and nodes claim.

use crate::catalog::lease::OwnerId;
use crate::discovery::endpoint::{Reach, Withdrawn};
use crate::discovery::names::askers::{Claim, Networks};
use crate::discovery::names::derive::{Builder, INGRESS, Member};
use crate::discovery::names::shape::{Shape, addresses_of, shared};
use crate::zone::view::number;
use std::net::IpAddr;
use std::sync::Arc;

/// The addresses from which a member asks, and what it is called if it has a name.
pub(super) fn own_claims(
    builder: &mut Builder<'_>,
    member: &Member<'_>,
    name: Option<Box<[u8]>>,
    is_named: bool,
) {
    let endpoint = member.endpoint;
    if endpoint.withdrawn == Some(Withdrawn::Died) {
        return;
    }
    let is_elsewhere = member.owner != builder.terms.me;
    let networks: Networks = shared(endpoint)
        .map(|network| (Arc::from(network.name.as_str()), number(network.id.as_bytes())))
        .collect();
    let name: Option<Arc<[u8]>> = name.filter(|_| is_named && !member.is_gone).map(Arc::from);
    for network in shared(endpoint) {
        let is_local = network.reach == Reach::Local;
        // Every engine has its own container at such an address.
        if is_local && is_elsewhere {
            continue;
        }
        let claim = Claim {
            is_node: false,
            is_elsewhere,
            is_withdrawn: member.is_withdrawn || member.is_gone,
            network: (network.name.as_str().into(), network.id.as_str().into()),
            is_local,
            owner: member.owner,
            id: endpoint.id.as_str().into(),
            networks: Some(networks.clone()),
            stack: builder.stack.clone(),
            name: name.clone(),
        };
        builder.derived.claims.extend(addresses_of(network).map(|address| (address, claim.clone())));
    }
}

/// Virtual addresses are called what their service is called; nobody asks from them.
pub(super) fn virtual_claims(builder: &mut Builder<'_>, shape: &Shape<'_>) {
    let Some((owner, spec)) = shape.spec else { return };
    if shape.labels.enable == Some(false) {
        return;
    }
    let name: Option<Arc<[u8]>> = builder.absolute(&[], &shape.exact).map(Arc::from);
    for network in spec.networks.iter().filter(|network| network.name != INGRESS) {
        for vip in &network.vips {
            let claim = Claim {
                is_node: false,
                is_elsewhere: owner != builder.terms.me,
                is_withdrawn: false,
                network: (network.name.as_str().into(), network.id.as_str().into()),
                is_local: false,
                owner,
                id: spec.id.as_str().into(),
                networks: None,
                stack: builder.stack.clone(),
                name: name.clone(),
            };
            builder.derived.claims.push((*vip, claim));
        }
    }
}

/// A node's own addresses are called what the node is called, the same on every node.
pub(super) fn node_claims(
    owner: OwnerId,
    (id, addresses): (&str, &[IpAddr]),
    name: &[u8],
    claims: &mut Vec<(IpAddr, Claim)>,
) {
    let claim = Claim {
        is_node: true,
        is_withdrawn: false,
        is_elsewhere: false,
        network: (Arc::from(""), Arc::from("")),
        is_local: false,
        owner,
        id: id.into(),
        networks: None,
        stack: Arc::from(""),
        name: Some(name.into()),
    };
    claims.extend(addresses.iter().map(|address| (*address, claim.clone())));
}
