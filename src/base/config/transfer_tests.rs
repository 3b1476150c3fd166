//! Zones that come from elsewhere and go elsewhere, and the keys that sign for them.

use super::*;

fn examined(text: &str) -> (Config, Vec<String>) {
    let path: Arc<Path> = Arc::from(Path::new("/etc/hivedns/hivedns.toml"));
    let (config, errors) = Config::assemble(Some((&path, text.as_bytes())), &Inputs::default());
    (config, errors.iter().map(|error| error.to_string().replace("/etc/hivedns/hivedns.toml:", "")).collect())
}

const KEY: &str = "[[key]]\nname = \"xfr\"\nsecret_file = \"xfr.secret\"\n";

#[test]
fn a_secondary_has_primaries_instead_of_a_file() {
    let text = "[[zone]]\norigin = \"a.\"\nprimary = [\"192.0.2.1\", \"[2001:db8::1]:5353\"]\ntsig = \"XFR.\"\n\
                notify = \"192.0.2.3\"\naccept_notify = [\"key:xfr.\"]\ntransfer = [\"192.0.2.0/24+key:xfr.\"]\n";
    let (config, errors) = examined(&format!("{text}{KEY}"));
    assert_eq!(errors, [""; 0]);
    let [zone] = &config.zones[..] else { panic!("one zone") };
    let primaries = ["192.0.2.1:53", "[2001:db8::1]:5353"].map(|at| at.parse().unwrap());
    assert_eq!(zone.content, Content::Primaries(primaries.to_vec()));
    assert_eq!(config.keys[0].secret_file, Path::new("/etc/hivedns/xfr.secret"));
    assert_eq!(config.keys[0].algorithm, Hmac::Sha256);
    // What is printed says the same.
    let (again, errors) = examined(&print(&config));
    assert_eq!(errors, [""; 0]);
    assert_eq!((again.zones, again.keys), (config.zones, config.keys));
}

#[test]
fn who_may_transfer_is_this_machine_unless_told_otherwise() {
    let (config, _) = examined("[[zone]]\norigin = \"a.\"\nfile = \"a\"\n");
    assert_eq!(config.zones[0].transfer, Access::loopback());
    assert_eq!(config.zones[0].file(), Some(Path::new("/etc/hivedns/a")));
    let (config, _) = examined("[[zone]]\norigin = \"a.\"\nfile = \"a\"\ntransfer = []\n");
    assert_eq!(config.zones[0].transfer, []);
}

#[test]
fn the_domain_of_service_names_needs_no_source_and_goes_to_nobody_unless_told() {
    let (config, errors) = examined("[[zone]]\norigin = \"Hive.internal\"\nnotify = \"192.0.2.3\"\n");
    assert_eq!(errors, [""; 0]);
    assert_eq!((&config.zones[0].content, &config.zones[0].transfer[..]), (&Content::Cluster, &[][..]));
    let text = "[[zone]]\norigin = \"s.\"\ntransfer = [\"192.0.2.0/24\"]\n[services]\ndomain = \"s.\"\n";
    let (config, errors) = examined(text);
    assert_eq!((errors.len(), config.zones[0].transfer.len()), (0, 1));
    let (again, errors) = examined(&print(&config));
    assert_eq!(errors, [""; 0]);
    assert_eq!(again.zones, config.zones);
}

#[test]
fn a_catalog_comes_from_elsewhere_or_lists_what_is_here() {
    let text = "[[zone]]\norigin = \"a.\"\nprimary = [\"192.0.2.1\"]\ncatalog = true\n[[zone]]\norigin = \"b.\"\n\
                catalog = true\n[[zone]]\norigin = \"c.\"\nfile = \"c\"\ncatalog = false\n";
    let (config, errors) = examined(text);
    assert_eq!(errors, [""; 0]);
    assert_eq!(config.zones.iter().map(|zone| zone.catalog).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(config.zones[1].content, Content::Catalog);
    let member = config.zones[0].member("m.example.").unwrap();
    assert_eq!((member.catalog, member.content), (false, config.zones[0].content.clone()));
    let (again, errors) = examined(&print(&config));
    assert_eq!((again.zones, errors.len()), (config.zones, 0));
}

#[test]
fn what_makes_no_sense_is_told() {
    let zone = "[[zone]]\norigin = \"a.\"\n";
    for (text, error) in [
        (
            format!("{zone}file = \"a\"\nprimary = [\"192.0.2.1\"]\n"),
            "1:1: zone.primary: a zone has a file or primaries, not both: which is its source?",
        ),
        (format!("{zone}primary = []\n"), "1:1: zone.primary: expected at least one server"),
        (zone.to_owned(), "1:1: zone.file: missing; every [[zone]] needs it, or zone.primary"),
        (
            format!("{zone}file = \"a\"\ntsig = \"no.\"\n"),
            "4:8: zone.tsig: there is no [[key]] of the name no.",
        ),
        (
            format!("{zone}file = \"a\"\ntransfer = [\"key:no.\"]\n"),
            "4:12: zone.transfer: there is no [[key]] of the name no.",
        ),
        (
            format!("{zone}file = \"a\"\nupdate = [\"key:no.\"]\n"),
            "4:10: zone.update: there is no [[key]] of the name no.",
        ),
        (
            format!("{zone}primary = \"192.0.2.1\"\nupdate = \"192.0.2.1\"\n"),
            "4:10: zone.update: a secondary takes no updates: its primary does",
        ),
        (
            "[[zone]]\norigin = \"a.\"\ncatalog = true\nupdate = \"192.0.2.1\"\n".to_owned(),
            "4:10: zone.update: a catalog is made of the other zones: it takes no updates",
        ),
        (
            format!("{zone}file = \"a\"\nshare = true\n"),
            "4:9: zone.share: members transfer it with a key that is made of the cluster's: set gossip.keys_file \
             (`hivedns keygen`)",
        ),
        (
            format!("{zone}primary = \"192.0.2.1\"\nshare = true\n"),
            "4:9: zone.share: only a zone from a file is shared: each node can have these primaries itself",
        ),
        (
            "[[zone]]\norigin = \"a.\"\ncatalog = true\nshare = true\n".to_owned(),
            "4:9: zone.share: a catalog is made of this node's other zones: it is not shared",
        ),
        (
            "[[zone]]\norigin = \"hive.internal.\"\nshare = true\n".to_owned(),
            "3:9: zone.share: this is services.domain, which all nodes answer for: leave it out",
        ),
        (
            "[[key]]\nname = \"A.Share.hivedns.invalid\"\nsecret_file = \"a\"\n".to_owned(),
            "2:8: key.name: below share.hivedns.invalid. stand the keys that are made of the cluster's: choose another",
        ),
        (
            format!("{zone}update = \"192.0.2.1\"\n"),
            "1:1: zone.file: missing; every [[zone]] needs it, or zone.primary",
        ),
        (
            "[[zone]]\norigin = \"a.\"\nfile = \"a\"\ncatalog = true\n".to_owned(),
            "1:1: zone.file: a catalog comes from primaries, or is made of the zones that have a file: leave it out",
        ),
        (
            "[[zone]]\norigin = \"hive.internal.\"\nfile = \"a\"\n".to_owned(),
            "3:8: zone.file: this is services.domain, whose names come from the cluster: leave it out",
        ),
        (format!("{KEY}{KEY}"), "5:8: key.name: xfr. is given twice, first at 2:8"),
        ("[[key]]\nname = \"a\"\n".to_owned(), "1:1: key.secret_file: missing; every [[key]] needs it"),
    ] {
        assert_eq!(examined(&text).1, [error], "{text}");
    }
}

#[test]
fn who_may_update_is_nobody_unless_told_and_the_domain_of_services_needs_nothing_else() {
    let zones = "[[zone]]\norigin = \"a.\"\nfile = \"a\"\nupdate = [\"key:xfr.\", \"192.0.2.0/24+key:xfr.\"]\n\
                 [[zone]]\norigin = \"b.\"\nfile = \"b\"\n\
                 [[zone]]\norigin = \"HIVE.internal\"\nupdate = \"key:xfr.\"\n";
    let (config, errors) =
        examined(&format!("{zones}{KEY}names = [\"x.a.\", \"y.a\"]\ntypes = [\"A\", \"TXT\"]\n"));
    assert_eq!(errors, [""; 0]);
    let entries: Vec<usize> = config.zones.iter().map(|zone| zone.update.len()).collect();
    assert_eq!(entries, [2, 0, 1]);
    let services = &config.zones[2];
    assert_eq!((&services.content, &services.transfer), (&Content::Cluster, &Vec::new()));
    assert_eq!(config.keys[0].names.iter().map(Origin::as_str).collect::<Vec<_>>(), ["x.a.", "y.a."]);
    assert_eq!(config.keys[0].types, ["A", "TXT"]);
    // What is printed says the same.
    let (again, errors) = examined(&print(&config));
    assert_eq!(errors, [""; 0]);
    assert_eq!((again.zones, again.keys), (config.zones, config.keys));
}

#[test]
fn a_zone_is_shared_where_it_is_said_and_the_cluster_has_a_key() {
    let keys = std::env::temp_dir().join(format!("hivedns-share-{}", std::process::id()));
    std::fs::write(&keys, "a file\n").unwrap();
    let zones =
        "[[zone]]\norigin = \"a.\"\nfile = \"a\"\nshare = true\n[[zone]]\norigin = \"b.\"\nfile = \"b\"\n";
    let text = format!("{zones}[gossip]\nkeys_file = \"{}\"\n", keys.display());
    let (config, errors) = examined(&text);
    let (again, more) = examined(&print(&config));
    std::fs::remove_file(keys).unwrap();
    assert_eq!((errors, more), (Vec::new(), Vec::new()));
    assert_eq!(config.zones.iter().map(|zone| zone.share).collect::<Vec<_>>(), [true, false]);
    assert_eq!(again.zones, config.zones);
    // Without anybody to share it with.
    let path: Arc<Path> = Arc::from(Path::new("hivedns.toml"));
    let inputs = Inputs { no_gossip: true, ..Inputs::default() };
    let (_, errors) = Config::assemble(Some((&path, zones.as_bytes())), &inputs);
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, ["hivedns.toml:4:9: zone.share: with --no-gossip there is nobody to share it with"]);
}
