//! Behaviour of the keys of the resolver, as `tests` for the others.

use super::tests::{errors, good, inputs};
use super::*;
use crate::base::limits::{FORWARD_SUFFIXES_MAX, NETWORKS_MAX, UPSTREAMS_MAX};

/// What the file says of each suffix, in one line.
fn forward(file: &str, given: &[&str]) -> String {
    suffixes(&good(file, given))
}

fn suffixes(config: &Config) -> String {
    let shown = config.forward.suffixes().iter().map(|suffix| {
        let list = suffix.to.emit().to_string().replace(['"', ' '], "");
        format!("{}={}", suffix.name, &list[1..list.len() - 1])
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn nothing_given(given: &[&str]) -> Config {
    Config::load(&inputs(given)).unwrap()
}

#[test]
fn without_anything_the_resolver_has_its_documented_defaults() {
    let config = nothing_given(&[]);
    assert_eq!(suffixes(&config), ".=resolv.conf");
    assert_eq!((config.resolve.root_hints.as_str(), config.resolve.trust_anchor.as_str()), ("", ""));
    assert!(config.resolve.validate);
    let deny: Vec<String> = config.resolve.deny.iter().map(ToString::to_string).collect();
    assert_eq!(deny, ["127.0.0.0/8", "::1/128", "0.0.0.0/8", "169.254.0.0/16", "fe80::/10"]);
    let Cache { size, ttl_max, negative_ttl_max, serve_stale, prefetch } = config.cache;
    assert_eq!((size, prefetch), (Size(64 << 20), true));
    assert_eq!([ttl_max, negative_ttl_max, serve_stale].map(|time| time.as_secs()), [86_400, 3_600, 86_400]);
    let shown = print(&config);
    for line in [
        "\".\" = [\"resolv.conf\"]  # default",
        "clients = [\"127.0.0.0/8\", \"::1/128\", \"private\"]  # default",
        "size = \"64MiB\"  # default",
        "ttl_max = \"1d\"  # default",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
}

#[test]
fn every_key_of_the_resolver_is_read_from_file_environment_and_flags() {
    let file = "[resolve]\nroot_hints = 'hints'\ntrust_anchor = '/k/anchor'\nvalidate = false\n\
        deny = ['192.0.2.0/24', '2001:db8::1']\n\
        [cache]\nsize = '0B'\nttl_max = '2d'\nnegative_ttl_max = '10m'\nserve_stale = '0s'\nprefetch = false\n\
        [limits]\nclients = ['private', '203.0.113.0/24']";
    let config = good(file, &[]);
    assert_eq!(config.resolve.root_hints, "/etc/h/hints", "relative to the file that says it");
    assert_eq!(config.resolve.trust_anchor, "/k/anchor");
    assert!(!config.resolve.validate);
    assert_eq!(config.resolve.deny.len(), 2);
    assert_eq!((config.cache.size, config.cache.ttl_max.as_secs()), (Size(0), 172_800));
    let clients = Client::networks(&config.limits.clients);
    assert!(
        clients.contains("203.0.113.7".parse().unwrap()) && !clients.contains("127.0.0.1".parse().unwrap())
    );
    assert_eq!(good(&print(&config), &[]), config);

    let config =
        good(file, &["--root-hints=h", "HIVEDNS_CACHE__SIZE=1GiB", "HIVEDNS_LIMITS__CLIENTS=::1, private"]);
    assert_eq!(config.resolve.root_hints, "/srv/dir/h", "relative to where the user stands");
    assert_eq!((config.cache.size, config.limits.clients.len()), (Size(1 << 30), 2));
    assert_eq!(nothing_given(&["HIVEDNS_RESOLVE__DENY="]).resolve.deny, []);
}

#[test]
fn each_suffix_has_upstreams_or_a_word() {
    for (file, expected) in [
        (
            "'.' = ['192.0.2.1', '[2001:db8::1]:54', 'resolv.conf']",
            ".=192.0.2.1,[2001:db8::1]:54,resolv.conf",
        ),
        ("'.' = ['root']\n'corp.example' = '10.0.0.1, 10.0.0.2'", ".=root corp.example.=10.0.0.1,10.0.0.2"),
        ("local = ['refuse']", ".=resolv.conf local.=refuse"),
        ("'Corp.Example.' = ['10.0.0.1:53']", ".=resolv.conf Corp.Example.=10.0.0.1"),
        ("", ".=resolv.conf"),
    ] {
        assert_eq!(forward(&format!("[forward]\n{file}"), &[]), expected);
    }
    assert_eq!(forward("forward = {'.' = ['root']}", &[]), ".=root");
}

#[test]
fn a_later_source_replaces_the_list_of_its_suffix_only() {
    let file = "[forward]\n'.' = ['192.0.2.1']\n'corp.example' = ['10.0.0.1']";
    assert_eq!(
        forward(file, &["--forward=192.0.2.2,192.0.2.3:5"]),
        ".=192.0.2.2,192.0.2.3:5 corp.example.=10.0.0.1"
    );
    assert_eq!(forward(file, &["--recurse=root"]), ".=root corp.example.=10.0.0.1");
    let given =
        ["HIVEDNS_FORWARD__CORP.EXAMPLE=refuse", "HIVEDNS_FORWARD__.=192.0.2.4", "HIVEDNS_FORWARD__x=::1"];
    assert_eq!(forward(file, &given), ".=192.0.2.4 CORP.EXAMPLE.=refuse x.=::1");
    let config = good(file, &[given[0], "--forward=192.0.2.2"]);
    assert_eq!(config.said.source("forward.\".\""), Source::Flag("--forward"));
    assert_eq!(good(&print(&config), &[]), config);
    for line in [
        "\".\" = [\"192.0.2.2\"]  # flag --forward",
        "\"CORP.EXAMPLE.\" = [\"refuse\"]  # environment HIVEDNS_FORWARD__CORP.EXAMPLE",
    ] {
        assert!(print(&config).lines().any(|shown| shown == line), "{line}\n{}", print(&config));
    }
}

#[test]
fn whatever_a_suffix_is_spelt_like_it_survives_printing() {
    for name in ["\"a\\\\.b'\"", "'${X}'", "'*.a'", "'\"'", "'#'", "'a=b'"] {
        let config = good(&format!("[forward]\n{name} = ['::1']"), &[]);
        assert_eq!(good(&print(&config), &[]), config, "{name}");
    }
}

#[test]
fn upstreams_or_zones_of_the_command_line_leave_the_examples_out() {
    for (given, examples) in [
        (&["--forward=192.0.2.1"][..], false),
        (&["--recurse=root"], false),
        (&["--zone=a=b"], false),
        (&["--root-hints=h", "HIVEDNS_FORWARD__.=192.0.2.1"], true),
    ] {
        assert_eq!(nothing_given(given).embedded_examples, examples, "{given:?}");
    }
}

#[test]
fn what_a_resolver_cannot_be_is_told() {
    let upstream = "expected the address of a name server with or without a port (without it 53), such as \
        \"192.0.2.1\" or \"[2001:db8::1]:5353\", or one of resolv.conf, root, refuse";
    let network = "expected a network, such as \"192.0.2.0/24\" or \"2001:db8::/32\", or one address";
    let many = |text: &str, count: usize| vec![format!("'{text}'"); count].join(",");
    let many_upstreams = many("::1", UPSTREAMS_MAX + 1);
    let many_networks = many("::1", NETWORKS_MAX + 1);
    for (text, expected) in [
        (
            "[forward]|'.' = [] => 2:7: forward.\".\": \
            expected at least one address, or a word; \"refuse\" asks nobody",
            "",
        ),
        (
            "[forward]|'.' = ['root', '192.0.2.1'] => 2:7: forward.\".\": \"root\" stands alone in its list",
            "",
        ),
        ("[forward]|A = ['::1', 'refuse'] => 2:5: forward.\"a.\": \"refuse\" stands alone in its list", ""),
        (
            "[forward]|'.' = ['::1', 'dns1', 5] => 2:15: forward.\".\": {upstream}, found \"dns1\"\
            |2:23: forward.\".\": {upstream}, found 5",
            upstream,
        ),
        ("[forward]|'.' = 53 => 2:7: forward.\".\": expected a list, each item the", upstream),
        (
            "[forward]|corp.example = ['::1'] => 2:1: forward.\"corp.\": \
            expected a list; a suffix with dots stands in quotes: \"corp.example\" = [...]",
            "",
        ),
        (
            "[forward]|'a..b' = ['::1'] => 2:1: forward.\"a..b\": expected a domain name in ASCII, \
            such as \"example.com.\" (others in their xn-- form), found \"a..b\"",
            "",
        ),
        (
            "[forward]|'a.' = ['::1']|A = ['::2'] => 3:1: forward.\"a.\": given twice, first at /etc/h/h.toml:2:8",
            "",
        ),
        ("[[forward]] => 1:3: forward: expected a table, [forward]", ""),
        (
            "[resolve]|deny = ['10.1.0.0/8'] => 2:9: resolve.deny: {network}, found \"10.1.0.0/8\": \
            bits behind the prefix are set; the network is 10.0.0.0/8",
            network,
        ),
        ("[resolve]|deny = ['private'] => 2:9: resolve.deny: {network}, found \"private\"", network),
        (
            "[limits]|clients = ['::/129', 'any'] => 2:12: limits.clients: {network}, found \"::/129\": \
            behind the slash stands a number from 0 to 128\
            |2:22: limits.clients: {network}, or \"private\", found \"any\"",
            network,
        ),
        (
            "[limits]|rrl_responses_per_second = 5 => \
            2:1: limits.rrl_responses_per_second is not available yet",
            "",
        ),
        ("[resolve]|validate = 1 => 2:12: resolve.validate: expected true or false, found 1", ""),
        (
            "[cache]|size = '64' => 2:8: cache.size: expected a size, such as \
            \"512KiB\", \"64MiB\" or \"2GiB\", found \"64\"",
            "",
        ),
        ("[cache]|size = '64KiB' => 2:8: cache.size: expected at least 1MiB, or 0B for no cache", ""),
        ("[cache]|ttl_max = '1ms' => 2:11: cache.ttl_max: expected whole seconds", ""),
        (
            "[forward]|'.' = [{many}] => 2:7: forward.\".\": expected at most 16 upstreams, found 17",
            &many_upstreams,
        ),
        (
            "[resolve]|deny = [{many}] => 2:8: resolve.deny: expected at most 1024 networks, found 1025",
            &many_networks,
        ),
    ] {
        let text = ["{upstream}", "{network}", "{many}"]
            .iter()
            .fold(text.to_owned(), |text, name| text.replace(name, expected));
        let (file, told) = text.split_once(" => ").unwrap();
        let told: Vec<String> = told.split('|').map(|told| format!("/etc/h/h.toml:{told}")).collect();
        let found = errors(&file.replace('|', "\n"), &[]);
        assert_eq!(found.len(), told.len(), "{file}\n{found:?}");
        for (found, told) in found.iter().zip(&told) {
            assert!(
                found == told || told.ends_with("each item the") && found.starts_with(told),
                "{found}\n{told}"
            );
        }
    }
    let many: String = (0..FORWARD_SUFFIXES_MAX).map(|i| format!("s{i} = ['::1']\n")).collect();
    let told = errors(&format!("[forward]\n{many}"), &[]);
    assert_eq!(told, ["/etc/h/h.toml:257:8: forward: expected at most 256 suffixes"]);
}

#[test]
fn faults_of_suffixes_name_the_variable_and_the_flag() {
    for (given, expected) in [
        (
            &["HIVEDNS_FORWARD__A=::1", "HIVEDNS_FORWARD__a.=::1"][..],
            "HIVEDNS_FORWARD__a.: forward.\"a.\": given twice, first at HIVEDNS_FORWARD__A",
        ),
        (
            &["HIVEDNS_FORWARD__=::1"],
            "HIVEDNS_FORWARD__: forward.\"\": expected a domain name in ASCII, such as \"example.com.\" \
                (others in their xn-- form), found \"\"",
        ),
        (
            &["--forward=192.0.2.1", "--recurse=root"],
            "--recurse: forward.\".\": given twice, first at --forward",
        ),
        (
            &["--forward="],
            "--forward: forward.\".\": expected at least one address, or a word; \"refuse\" asks nobody",
        ),
        (&["--forward=192.0.2.1,root"], "--forward: forward.\".\": \"root\" stands alone in its list"),
    ] {
        assert_eq!(errors("", given), [expected], "{given:?}");
    }
}
