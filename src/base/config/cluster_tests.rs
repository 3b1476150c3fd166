//! Behaviour of the keys of a cluster, as `tests` for the others.

use super::tests::{errors, good, inputs};
use super::*;
use crate::base::limits::JOIN_MAX;
use std::time::Duration;

fn peers(config: &Config) -> Vec<String> {
    config.gossip.join.iter().map(ToString::to_string).collect()
}

fn networks(config: &Config) -> String {
    config.services.reverse.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn networks_whose_addresses_have_names_are_counted_in_whole_octets_and_digits() {
    let config = good("[services]\nreverse = ['192.0.2.0/25', '2001:db8::/29']", &[]);
    assert_eq!(networks(&config), "192.0.2.0/25 2001:db8::/29");
    assert_eq!(networks(&good("[services]\nreverse = []", &[])), "");
    let given = ["HIVEDNS_SERVICES__REVERSE=10.0.0.0/8, fd00::/8"];
    assert_eq!(networks(&good("", &given)), "10.0.0.0/8 fd00::/8");
    // Each is 128 zones.
    let networks: Vec<String> = (0..9).map(|octet| format!("'10.{octet}.0.0/17'")).collect();
    assert_eq!(
        errors(&format!("[services]\nreverse = [{}]", networks.join(", ")), &[]),
        ["/etc/h/h.toml:2:11: services.reverse: expected networks of at most 1024 zones: \
            they are 1152 zones of whole octets or hexadecimal digits"]
    );
}

#[test]
fn without_anything_a_node_listens_on_loopback_and_joins_nobody() {
    let config = Config::load(&Inputs::default()).unwrap();
    assert_eq!(config.gossip.bind, "127.0.0.1:7953".parse().unwrap());
    assert_eq!(config.gossip.advertise, Advertise::Auto);
    assert_eq!((peers(&config).len(), config.gossip.cluster.as_str()), (0, "default"));
    assert_eq!((config.gossip.keys_file.as_str(), config.no_gossip, &config.control), ("", false, &None));
    let services = &config.services;
    assert_eq!(services.domain.as_str(), "hive.internal.");
    assert_eq!((services.ttl, services.negative_ttl), (Duration::from_secs(5), Duration::from_secs(2)));
    assert_eq!(services.lease, Duration::from_secs(60));
    assert_eq!(networks(&config), "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fd00::/8");
    assert_eq!(services.loss_freeze.get(), 0.34);
    assert_eq!(services.loss_freeze_max, Duration::from_secs(3600));
    assert!(!config.gossip_is_asked_for());
}

#[test]
fn every_key_of_a_cluster_is_read_from_file_environment_and_flags() {
    let file = "[services]\ndomain = 'swarm.test'\nttl = '30s'\nnegative_ttl = '0s'\nlease = '5m'\n\
        loss_freeze = 1\nloss_freeze_max = '2h'\n\
        [gossip]\nbind = '[::]:7000'\nadvertise = '192.0.2.9'\njoin = ['a', '[::1]:7']\ncluster = 'west'";
    let config = good(file, &[]);
    assert_eq!(config.services.domain.as_str(), "swarm.test.");
    assert_eq!((config.services.ttl.as_secs(), config.services.lease.as_secs()), (30, 300));
    assert_eq!(config.services.loss_freeze.get(), 1.0);
    assert_eq!(config.gossip.advertise, Advertise::At("192.0.2.9".parse().unwrap(), None));
    assert_eq!(
        (peers(&config), config.gossip.cluster.as_str()),
        (vec!["a:7953".into(), "[::1]:7".into()], "west")
    );
    assert!(config.gossip_is_asked_for());
    let given = ["HIVEDNS_GOSSIP__JOIN=b, c:1", "HIVEDNS_SERVICES__LOSS_FREEZE=0.5"];
    let config = good(file, &given);
    assert_eq!(
        (peers(&config), config.services.loss_freeze.get()),
        (vec!["b:7953".into(), "c:1".into()], 0.5)
    );
    let config = good(file, &["--join=d,e", "--gossip=127.0.0.1:0"]);
    assert_eq!((peers(&config).len(), config.gossip.bind.port()), (2, 0));
    assert_eq!(good(&print(&config), &[]), config);
}

#[test]
fn gossip_that_is_switched_off_is_never_asked_for() {
    let off = Inputs { no_gossip: true, ..inputs(&["--gossip=127.0.0.1:1"]) };
    let config = Config::load(&off).unwrap();
    assert!(config.no_gossip && !config.gossip_is_asked_for());
    assert!(print(&config).contains("# Gossip is off: --no-gossip.\n"));
}

#[test]
fn a_control_socket_is_relative_to_where_the_user_stands() {
    let control = Some(PathBuf::from("run/h.sock"));
    let config = Config::load(&Inputs { control, ..inputs(&[]) }).unwrap();
    assert_eq!(config.control, Some(PathBuf::from("/srv/dir/run/h.sock")));
    assert!(print(&config).contains("/srv/dir/run/h.sock"));
}

#[test]
fn what_a_cluster_cannot_be_is_told() {
    let many = vec!["a"; JOIN_MAX + 1].join("','");
    let many =
        format!("[gossip]|join = ['{many}'] => 2:8: gossip.join: expected at most 64 members, found 65");
    for case in [
        "[gossip]|bind = '0.0.0.0:7946' => 2:8: gossip.bind: port 7946 belongs to the container engine: choose another",
        "[gossip]|join = ['a:4789'] => 2:8: gossip.join: port 4789 belongs to the container engine: choose another",
        "[gossip]|advertise = '192.0.2.1:2377' => \
            2:13: gossip.advertise: port 2377 belongs to the container engine: choose another",
        "[gossip]|advertise = '0.0.0.0' => 2:13: gossip.advertise: expected \"auto\" or an address that others \
            reach this node at, such as \"192.0.2.1\" or \"192.0.2.1:7953\", found \"0.0.0.0\"",
        "[gossip]|join = ['a:'] => 2:9: gossip.join: expected HOST or HOST:PORT (without it 7953), such as \
            \"node1\", \"192.0.2.1:7953\" or \"[2001:db8::1]:7953\", found \"a:\"",
        "[gossip]|cluster = '' => 2:11: gossip.cluster: expected a name of 1 to 64 octets",
        "[gossip]|keys_file = 'no/such' => \
            2:13: gossip.keys_file: /etc/h/no/such: No such file or directory (os error 2)",
        "[services]|ttl = '1500ms' => 2:7: services.ttl: expected whole seconds",
        "[services]|negative_ttl = '1ms' => 2:16: services.negative_ttl: expected whole seconds",
        "[services]|loss_freeze = 1.01 => 2:15: services.loss_freeze: expected a share from 0.0 to 1.0, found 1.01",
        "[services]|loss_freeze = 2 => 2:15: services.loss_freeze: expected a share from 0.0 to 1.0, found 2",
        &many,
    ] {
        let (file, expected) = case.split_once(" => ").unwrap();
        assert_eq!(errors(&file.replace('|', "\n"), &[]), [format!("/etc/h/h.toml:{expected}")], "{file}");
    }
}

#[test]
fn a_file_of_keys_is_found_beside_the_file_that_names_it() {
    let directory = std::env::temp_dir().join(format!("hivedns-keys-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("sub")).unwrap();
    std::fs::write(directory.join("sub/keys"), "key").unwrap();
    std::fs::write(directory.join("sub/h.toml"), "[gossip]\nkeys_file = 'keys'").unwrap();
    std::fs::write(directory.join("sub/d.toml"), "[gossip]\nkeys_file = '.'").unwrap();
    let load = |file: &str| {
        let file = ConfigFile::Required(PathBuf::from(file));
        Config::load(&Inputs { file, directory: directory.clone(), ..Inputs::default() })
    };
    let (found, refused) = (load("sub/h.toml"), load("sub/d.toml"));
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(Path::new(&found.unwrap().gossip.keys_file), directory.join("sub/keys"));
    assert!(refused.unwrap_err()[0].to_string().contains("gossip.keys_file: "));
}
