//! The floors of the house: imports run downwards only. [`HOUSE`] is the drawing of `src/lib.rs` as a table; these
//! tests read the paths of every source file and hold them against it.

mod house;

use house::{RustPath, Source, expect_none, paths_above, paths_below, sources};

/// One module of the crate's root.
struct Room {
    floor: Floor,
    name: &'static str,
    /// The modules it may import, or parts of them.
    may_import: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    Base,
    /// Beside the floors: the operating system.
    Side,
    Wire,
    Data,
    Answers,
    Threads,
    Roof,
}

const fn room(floor: Floor, name: &'static str, may_import: &'static [&'static str]) -> Room {
    Room { floor, name, may_import }
}

/// From the ground up. A module imports from rows above its own only, so that there can be no circle.
const HOUSE: &[Room] = &[
    room(Floor::Base, "base", &[]),
    room(Floor::Side, "os", &["base"]),
    room(Floor::Wire, "wire", &["base"]),
    room(Floor::Data, "zone", &["base", "os::memory", "wire"]),
    room(Floor::Data, "catalog", &["base", "os::memory", "wire", "zone"]),
    room(Floor::Answers, "answer", &["base", "wire", "zone", "catalog"]),
    room(Floor::Answers, "gossip", &["base"]),
    room(Floor::Answers, "disk", &["base"]),
    room(Floor::Answers, "discovery", &["base", "wire", "zone", "catalog"]),
    room(Floor::Answers, "resolve", &["base", "wire"]),
    room(Floor::Answers, "transfer", &["base", "wire", "zone", "catalog"]),
    // The production machines in a made-up world.
    room(Floor::Threads, "testing", &["base", "gossip"]),
    room(Floor::Threads, "keeper", &["base", "os", "disk"]),
    room(
        Floor::Threads,
        "worker",
        &["base", "os", "wire", "zone", "catalog", "answer", "resolve", "transfer"],
    ),
    room(Floor::Threads, "loader", &["base", "os", "wire", "zone", "catalog", "disk", "resolve"]),
    room(
        Floor::Threads,
        "control",
        &[
            "base",
            "os",
            "wire",
            "zone",
            "catalog",
            // To tell how an answer comes about, it is asked for one.
            "answer",
            "gossip",
            "disk",
            "discovery",
            "resolve",
            "transfer",
            "keeper",
            "loader",
            "worker",
        ],
    ),
    room(
        Floor::Threads,
        "services",
        &["base", "os", "wire", "zone", "catalog", "discovery", "resolve", "transfer", "control"],
    ),
    room(Floor::Roof, "log", &["base"]),
    // What is asked of a running server, and its documents, are types of `control`; what is asked of the simulator is
    // one of `testing`.
    room(Floor::Roof, "cli", &["base", "control", "testing"]),
    room(Floor::Roof, "verbs", &["base", "control", "cli"]),
    room(
        Floor::Roof,
        "serve",
        &[
            "base",
            "os",
            "wire",
            "zone",
            "catalog",
            "answer",
            "resolve",
            "transfer",
            "disk",
            "keeper",
            "worker",
            "loader",
            "control",
            "services",
            "gossip::secrecy",
        ],
    ),
    room(Floor::Roof, "simulate", &["base", "os", "testing", "cli"]),
    room(
        Floor::Roof,
        "main",
        &[
            "base",
            "os::entropy",
            "wire",
            "zone",
            "gossip::secrecy",
            "control::cluster",
            // What `check` reads besides zones.
            "control::exchange",
            "loader",
            "log",
            "cli",
            "verbs",
            "serve",
            "simulate",
        ],
    ),
];

/// Dependencies that belong to few rooms, and which those are.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("libc", &["os"]),
    ("socket2", &["os"]),
    ("core_affinity", &["os"]),
    ("crc32fast", &["disk"]),
    ("mio", &["worker", "control", "serve"]),
    ("bincode", &["gossip"]),
    // `zone` hashes names of signed zones with it.
    ("ring", &["gossip", "transfer", "zone"]),
    // Of the resolver only `validate` uses it; its tests sign with `ring`.
    ("domain", &["resolve"]),
    ("fastrand", &["gossip", "testing", "control"]),
    ("tokio", &["services"]),
    ("axum", &["services"]),
    ("hyper", &["services"]),
    ("hyper_util", &["services"]),
    ("http_body_util", &["services"]),
    ("clap", &["cli", "testing"]),
    ("toml_edit", &["base"]),
    ("signal_hook", &["serve"]),
    // A worker logs nothing, and what is pure has nothing to log.
    ("tracing", &["loader", "control", "services", "serve"]),
    ("tracing_subscriber", &["log"]),
];

/// What of `std::net` is a value and not a door to the network.
const ADDRESSES: &[&str] =
    &["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6", "AddrParseError"];

fn of(name: &str) -> Option<&'static Room> {
    HOUSE.iter().find(|room| room.name == name)
}

/// The shipped sources with their rooms.
fn rooms() -> Vec<(Source, &'static Room)> {
    let below_the_root = sources(&["src/"]).into_iter().filter(|source| source.path != "src/lib.rs");
    below_the_root
        .map(|source| {
            let room = of(source.room()).unwrap_or_else(|| {
                panic!(
                    "{}: the module `{}` has no row in HOUSE: on which floor does it stand?",
                    source.path,
                    source.room()
                )
            });
            (source, room)
        })
        .collect()
}

/// What a file imports of this crate.
fn imports(source: &Source) -> Vec<RustPath> {
    let tokens = source.shipped();
    let mut paths = paths_below(&tokens, "crate");
    if source.room() == "main" {
        paths.extend(paths_below(&tokens, "hivedns"));
    } else {
        paths.extend(paths_above(&tokens, source.module().len()));
    }
    paths
}

#[test]
fn the_table_itself_runs_downwards() {
    let place = |name: &str| HOUSE.iter().position(|room| room.name == name);
    for (row, room) in HOUSE.iter().enumerate() {
        for import in room.may_import {
            let name = import.split("::").next().unwrap_or(import);
            let target =
                place(name).unwrap_or_else(|| panic!("{} may import {name}, which has no row", room.name));
            let target_floor = HOUSE[target].floor;
            assert!(target < row, "{} may import {name}, which is not below it", room.name);
            assert!(
                target_floor <= room.floor,
                "{} may import {name}, which stands on a higher floor",
                room.name
            );
            assert!(
                room.floor != Floor::Answers || target_floor != Floor::Answers,
                "{} may import its sibling {name}",
                room.name
            );
        }
    }
}

#[test]
fn imports_run_downwards_only() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (source, room) in rooms() {
        for path in imports(&source) {
            seen += 1;
            let own = path.is_within(room.name);
            if !own && !room.may_import.iter().any(|allowed| path.is_within(allowed)) {
                wrong.push(format!(
                    "{}:{}: {} must not import {}; it may import {:?}",
                    source.path,
                    path.line,
                    room.name,
                    path.text(),
                    room.may_import
                ));
            }
        }
    }
    expect_none("imports run downwards only (docs/architecture.md, Floors):", &wrong);
    assert!(seen > 200, "only {seen} imports were found: the test has gone blind");
}

#[test]
fn dependencies_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for (source, room) in rooms() {
        let tokens = source.shipped();
        for (dependency, allowed) in DEPENDENCIES {
            if allowed.contains(&room.name) {
                continue;
            }
            for path in paths_below(&tokens, dependency) {
                wrong.push(format!(
                    "{}:{}: {} must not use {dependency}, which belongs to {allowed:?}",
                    source.path, path.line, room.name
                ));
            }
        }
    }
    expect_none("a dependency belongs to few rooms:", &wrong);
}

/// True for the rooms that own threads. `testing` stands on their floor because of what it imports, and owns none.
fn owns_threads(room: &Room) -> bool {
    room.floor == Floor::Threads && room.name != "testing" || ["os", "serve"].contains(&room.name)
}

/// Where rooms for which `who` holds name a path below `std` for which `what` holds.
fn uses_of_std(who: impl Fn(&Room) -> bool, what: impl Fn(&RustPath) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for (source, room) in rooms().into_iter().filter(|(_, room)| who(room)) {
        for path in paths_below(&source.shipped(), "std").iter().filter(|path| what(path)) {
            let (line, text) = (path.line, path.text());
            wrong.push(format!("{}:{line}: {} must not use std::{text}", source.path, room.name));
        }
    }
    wrong
}

#[test]
fn only_the_floor_of_threads_and_the_starter_read_the_clock() {
    let mut wrong = Vec::new();
    for (source, room) in rooms() {
        let may = owns_threads(room) || room.name == "simulate";
        for path in imports(&source).iter().filter(|path| !may && path.is_within("os::clock")) {
            wrong.push(format!("{}:{}: {} must be told the time", source.path, path.line, room.name));
        }
    }
    expect_none("below floor 4, time is an argument:", &wrong);
}

#[test]
fn only_the_floor_of_threads_and_the_starter_open_sockets_and_start_threads() {
    let wrong = uses_of_std(
        |room| !owns_threads(room),
        |path| {
            let name = path.segments.get(1).map(String::as_str);
            let socket = path.is_within("net") && name.is_none_or(|name| !ADDRESSES.contains(&name));
            // To ask how much the machine can do at once starts nothing.
            let thread = path.is_within("thread") && name != Some("available_parallelism");
            socket || thread
        },
    );
    expect_none("sockets and threads belong to floor 4:", &wrong);
}

#[test]
fn wire_catalog_and_answer_do_no_io() {
    let wrong = uses_of_std(
        |room| ["wire", "catalog", "answer"].contains(&room.name),
        |path| ["io", "fs", "env", "process"].iter().any(|module| path.is_within(module)),
    );
    expect_none("the pure rooms know no operating system:", &wrong);
}

#[test]
fn unsafe_stands_in_one_place_of_the_server_and_one_of_the_tools() {
    let mut wrong = Vec::new();
    for source in sources(&["src/", "tools/src/"]) {
        if source.path.starts_with("src/os/") || source.path == "tools/src/mmsg.rs" {
            continue;
        }
        for token in source.tokens.iter().filter(|token| token.text == "unsafe") {
            wrong.push(format!("{}:{}: unsafe", source.path, token.line));
        }
    }
    expect_none("unsafe stands under src/os/ and in tools/src/mmsg.rs only:", &wrong);
}

#[test]
fn the_reader_of_paths_sees_through_groups_comments_and_tests() {
    let text = r##"
        // use crate::worker::No;
        use crate::base::{limits, octets::{self, u16_at}, config as c};
        fn f() { let _ = "crate::os::clock"; crate::zone::Place::of::<u8>(); let _c = '"'; }
        /* use crate::serve; /* nested */ */
        const R: &str = r#"crate::" control"#;
        #[cfg(test)]
        mod tests { use crate::control; fn g() { } }
        use super::super::answer::*;
        pub(crate) fn last<'a>(_: &'a u8) { hivedns::cli::parse() }
    "##;
    let dir = Source { path: "src/x/y.rs".into(), text: text.into(), tokens: house::read(text) };
    let tokens = dir.shipped();
    let texts =
        |paths: Vec<RustPath>| paths.iter().map(|p| format!("{} {}", p.line, p.text())).collect::<Vec<_>>();
    assert_eq!(
        texts(paths_below(&tokens, "crate")),
        ["3 base::limits", "3 base::octets", "3 base::octets::u16_at", "3 base::config", "4 zone::Place::of"]
    );
    assert_eq!(texts(paths_above(&tokens, 2)), ["9 answer"]);
    assert_eq!(texts(paths_above(&tokens, 3)), [""; 0]);
    assert_eq!(texts(paths_below(&tokens, "hivedns")), ["10 cli::parse"]);
    assert_eq!((dir.module(), dir.room()), (vec!["x", "y"], "x"));
}
