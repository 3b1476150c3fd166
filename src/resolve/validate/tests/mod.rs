//! A made-up world of signed zones, judged in virtual time.

mod answers;
mod costs;
mod signer;
mod trust;
mod vectors;
mod world;
mod zone;

use crate::wire::rtype::RecordType;
use signer::Signer;
use world::World;
use zone::{Denies, Zone, name};

const NSEC3: Denies = Denies::Nsec3 { iterations: 0, opt_out: false };
const OPT_OUT: Denies = Denies::Nsec3 { iterations: 0, opt_out: true };

/// The root (RSA), `edu.` and `groucho.edu.` as wanted, and below it a zone that is not signed; `com.` beside.
fn world(denies: Denies) -> World {
    let plain = Zone::new("plain.groucho.edu.", Denies::Nsec, vec![]).address("www.plain.groucho.edu.");
    let groucho = Zone::new("groucho.edu.", denies, vec![Signer::p256()])
        .address("erdos.maths.groucho.edu.")
        .address("*.wild.groucho.edu.")
        .address("*.groucho.edu.")
        .alias("away.groucho.edu.", "www.EXAMPLE.com.")
        .alias("nowhere.groucho.edu.", "missing.example.com.")
        .alias("unsafe.groucho.edu.", "www.plain.groucho.edu.")
        .with("old.groucho.edu.", RecordType::DNAME, name("maths.groucho.edu.").as_wire())
        .delegate(&plain);
    let edu = Zone::new("edu.", denies, vec![Signer::ed25519(1)]).delegate(&groucho);
    let example = Zone::new("example.com.", denies, vec![Signer::ed25519(3)]).address("www.example.com.");
    let com = Zone::new("com.", denies, vec![Signer::ed25519(2)]).delegate(&example);
    let root = Zone::new(".", Denies::Nsec, vec![Signer::rsa()]).delegate(&edu).delegate(&com);
    World::new(vec![root, edu, groucho, plain, com, example])
}
