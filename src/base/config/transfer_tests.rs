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
            "[[zone]]\norigin = \"Hive.internal.\"\nfile = \"a\"\nupdate = \"192.0.2.1\"\n".to_owned(),
            "4:10: zone.update: updates of the domain of services go to the cluster: leave out file and primary",
        ),
        (
            "[[zone]]\norigin = \"hive.internal.\"\ntransfer = \"192.0.2.1\"\nupdate = \"192.0.2.1\"\n"
                .to_owned(),
            "3:12: zone.transfer: not available yet for the domain of services",
        ),
        (
            format!("{zone}update = \"192.0.2.1\"\n"),
            "1:1: zone.file: missing; every [[zone]] needs it, or zone.primary",
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
    assert_eq!((&services.content, &services.transfer), (&Content::Services, &Vec::new()));
    assert_eq!(config.keys[0].names.iter().map(Origin::as_str).collect::<Vec<_>>(), ["x.a.", "y.a."]);
    assert_eq!(config.keys[0].types, ["A", "TXT"]);
    // What is printed says the same.
    let (again, errors) = examined(&print(&config));
    assert_eq!(errors, [""; 0]);
    assert_eq!((again.zones, again.keys), (config.zones, config.keys));
}
