//! Loops through other servers, which show only at run time: two hivedns that forward to each other.

use crate::oracle::now;
use crate::site::{Plan, Site, until};
use crate::upstream::Upstream;
use crate::{A, HINFO, SERVFAIL, addresses, ask};
use std::net::SocketAddr;
use std::time::Duration;

fn plan(servers: &[SocketAddr]) -> String {
    let servers: Vec<String> = servers.iter().map(|server| format!("\"{server}\"")).collect();
    format!("\".\" = [{}]", servers.join(", "))
}

fn start(servers: &[SocketAddr]) -> Site {
    Site::start(&Plan { forward: &plan(servers), workers: 2, ..Plan::default() })
}

fn reload(site: &Site, servers: &[SocketAddr]) {
    site.write_config(&Plan { forward: &plan(servers), workers: 2, ..Plan::default() }, &[]);
    site.signal("HUP");
}

/// Whether a server says of an upstream that it leads back.
fn is_looping(site: &Site, upstream: SocketAddr) -> bool {
    site.metrics().contains(&format!("hivedns_forward_looping{{to=\"{upstream}\"}} 1\n"))
}

fn say_all(upstream: &Upstream) {
    (0..40).for_each(|n| upstream.say_address(&format!("n{n}.example."), 300, n));
}

#[test]
fn an_upstream_that_leads_back_is_not_asked_while_it_does_and_the_others_are() {
    let (upstream, other) = (Upstream::start(), Upstream::start());
    [&upstream, &other].into_iter().for_each(say_all);
    let near = start(&[upstream.address]);
    let far = start(&[near.address]);
    assert!(!is_looping(&far, near.address));
    // Each looks for loops three times within six seconds and not again before the twenty-first. So it is near that finds it:
    // whoever is first is asked nothing any more, and the other learns of it only when it is over.
    assert!(until(|| upstream.names_heard(HINFO) >= 6), "{}", far.log());
    reload(&near, &[far.address, upstream.address]);
    assert!(until(|| is_looping(&near, far.address)), "{}", near.log());
    let told = format!("forward.\".\": {} leads back to this server", far.address);
    assert!(until(|| near.log().contains(&told)), "{}", near.log());
    assert!(near.metrics().contains("hivedns_forward_loops_total 1\n"), "{}", near.metrics());
    // Each is answered by who has the answer, in no more time than that takes, through either server.
    for n in 0..40 {
        let (site, before) = (if n % 2 == 0 { &near } else { &far }, now());
        assert_eq!(addresses(&ask(site, &format!("n{n}.example."), A)), [n]);
        assert!(now() - before < Duration::from_millis(1_500), "{n}");
        assert_eq!(upstream.heard(&format!("n{n}.example.")).len(), 1, "{n}");
    }
    // The way back ends: it is asked again.
    reload(&far, &[other.address]);
    assert!(until(|| !is_looping(&near, far.address)), "{}", near.log());
    let told = format!("{} does not lead back to this server any more", far.address);
    assert!(until(|| near.log().contains(&told)), "{}", near.log());
    (0..200).for_each(|n| other.say_address(&format!("m{n}.example."), 300, n));
    reload(&near, &[far.address]);
    let mut names = (0..200).cycle();
    assert!(until(|| {
        let n = names.next().unwrap_or_default();
        addresses(&ask(&near, &format!("m{n}.example."), A)) == [n]
    }));
}

#[test]
fn where_all_upstreams_lead_back_a_question_fails_at_once() {
    let near = start(&["127.0.0.1:9".parse().expect("an address")]);
    let far = start(&[near.address]);
    reload(&near, &[far.address]);
    assert!(until(|| is_looping(&near, far.address) || is_looping(&far, near.address)), "{}", near.log());
    // Who has found the loop fails at once; whoever asks it learns that as fast.
    let fails = |site: &Site, name: &str| {
        let before = now();
        ask(site, name, A).rcode() == SERVFAIL && now() - before < Duration::from_secs(1)
    };
    let mut number = 0;
    assert!(until(|| {
        number += 1;
        fails(&near, &format!("a{number}.example.")) && fails(&far, &format!("b{number}.example."))
    }));
}
