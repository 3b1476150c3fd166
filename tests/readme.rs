//! The README tells the truth: its commands parse, its configuration loads, its answers come.

mod house;
#[path = "oracle/mod.rs"]
mod oracle;

use hivedns::base::config::{self, Config, ConfigFile, Inputs};
use hivedns::cli::{self, Refusal, Request, System};
use oracle::process::{Server, TempDir, free_port};
use oracle::{message, names, render, transport};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the program is called in the documents, with its arguments behind.
const CALLS: [&str; 3] = ["hivedns", "cargo run --release --", "cargo run --release"];

/// One fenced block of a document.
struct Block {
    document: &'static str,
    language: String,
    /// The number of its first line, and its lines.
    first: usize,
    lines: Vec<String>,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for document in ["README.md", "docs/roadmap.md", "docs/architecture.md"] {
        let text = fs::read_to_string(house::root().join(document)).expect("the document is there");
        let mut open: Option<Block> = None;
        for (number, line) in text.lines().enumerate() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(language), None) => {
                    open = Some(Block {
                        document,
                        language: language.into(),
                        first: number + 2,
                        lines: Vec::new(),
                    });
                }
                (None, Some(block)) => block.lines.push(line.to_owned()),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{document}: a block is not closed");
    }
    blocks
}

/// Every line of the documents that calls the program: where it stands, and its arguments.
fn calls() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for block in blocks().iter().filter(|block| ["sh", "console"].contains(&block.language.as_str())) {
        for (number, line) in block.lines.iter().enumerate() {
            let line = line.trim_start_matches("$ ");
            // A comment, or where the output goes.
            let line =
                line.split(" #").next().unwrap_or(line).split([';', '|', '&', '>']).next().unwrap_or(line);
            let arguments = CALLS.iter().find_map(|call| line.trim_end().strip_prefix(call));
            // Another package's program is not ours.
            if let Some(arguments) = arguments.filter(|arguments| !arguments.starts_with(" -p")) {
                let arguments = arguments.split_whitespace().map(|word| word.trim_matches('\'').to_owned());
                found.push((format!("{}:{}", block.document, block.first + number), arguments.collect()));
            }
        }
    }
    found
}

#[test]
fn every_command_is_understood() {
    let calls = calls();
    assert!(calls.len() >= 5, "only {} commands were found: the test has gone blind", calls.len());
    let mut wrong = Vec::new();
    for (place, arguments) in calls {
        let line = std::iter::once("hivedns".into()).chain(arguments.iter().map(Into::into));
        let system = System { host_name: "node".into(), ..System::default() };
        match cli::parse(line, system) {
            Ok(
                Request::Serve(_)
                | Request::PrintConfig(_)
                | Request::Check(..)
                | Request::Call(_)
                | Request::Keygen(_)
                | Request::Simulate(_),
            )
            | Err(Refusal::Shown(_)) => {}
            Err(Refusal::Wrong(why)) => {
                wrong.push(format!("{place}: {}: {}", arguments.join(" "), why.join(" ")))
            }
        }
    }
    house::expect_none("the documents call the program as it can be called:", &wrong);
}

#[test]
fn every_configuration_loads() {
    let dir = TempDir::new("readme", false).expect("a temporary directory");
    let mut loaded = 0;
    for block in blocks().into_iter().filter(|block| block.language == "toml") {
        let file = dir.path().join("hivedns.toml");
        fs::write(&file, block.lines.join("\n")).expect("the file can be written");
        let inputs = Inputs { file: ConfigFile::Required(file), ..Inputs::default() };
        if let Err(errors) = Config::load(&inputs) {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            panic!("{}:{}: {}", block.document, block.first, errors.join("\n"));
        }
        loaded += 1;
    }
    assert!(loaded > 0, "no configuration was found: the test has gone blind");
}

/// The rows `| keys | defaults | what |` below the heading: where they stand, the codes in the first cell, and the
/// second cell.
fn key_table() -> Vec<(String, Vec<String>, String)> {
    let text = fs::read_to_string(house::root().join("README.md")).expect("the document is there");
    let lines = text.lines().enumerate().skip_while(|(_, line)| *line != "| key | default | what |");
    let rows = lines.skip(2).take_while(|(_, line)| line.starts_with('|'));
    rows.map(|(number, row)| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (format!("README.md:{}", number + 1), codes(cells[1]), cells[2].to_owned())
    })
    .collect()
}

/// What stands between pairs of backticks.
fn codes(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every key of the single sections with its value, from what `--print-config` prints.
fn values(config: &Config) -> BTreeMap<String, String> {
    let text = config::print(config);
    let (mut section, mut found) = (String::new(), BTreeMap::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, rest)) = line.split_once(" = ") {
            let value = rest.split("  # ").next().unwrap_or(rest);
            found.insert(format!("{section}.{key}"), value.to_owned());
        }
    }
    found
}

/// What a file with that one key makes of it: `60s` and `1m` are the same.
fn as_read(key: &str, value: &str) -> Option<String> {
    let dir = TempDir::new("readme-key", false).ok()?;
    let (section, name) = key.split_once('.')?;
    let file = dir.path().join("hivedns.toml");
    fs::write(&file, format!("[{section}]\n{name} = {value}\n")).ok()?;
    let inputs = Inputs { file: ConfigFile::Required(file), host_name: "node".into(), ..Inputs::default() };
    values(&Config::load(&inputs).ok()?).remove(key)
}

#[test]
fn the_table_of_keys_tells_every_key_and_its_default() {
    let mut untold = values(&Config::default());
    assert!(untold.len() > 20, "only {} keys were found: the test has gone blind", untold.len());
    let mut wrong = Vec::new();
    for (place, keys, cell) in key_table() {
        // A zone has no defaults.
        if keys.iter().all(|key| key.starts_with("zone.")) {
            continue;
        }
        let told = codes(&cell);
        let apart = |text: &str| ["", ", "].contains(&text);
        let plain = told.len() == keys.len() && cell.split('`').step_by(2).all(apart);
        for (at, key) in keys.iter().enumerate() {
            match untold.remove(key) {
                None => wrong.push(format!("{place}: there is no key {key}, or it stands there twice")),
                Some(default) if plain => {
                    if as_read(key, &told[at]).as_ref() != Some(&default) {
                        wrong.push(format!("{place}: {key} is {default} by default, not {}", told[at]));
                    }
                }
                // In words: what an empty value stands for.
                Some(default) if default != "\"\"" => {
                    wrong.push(format!("{place}: {key} is {default} by default"))
                }
                Some(_) => {}
            }
        }
    }
    wrong.extend(untold.keys().map(|key| format!("README.md: the table has no {key}")));
    house::expect_none("the README tells every key and its default:", &wrong);
}

/// `$ dig @127.0.0.1 -p 5300 NAME [TYPE] +short` and the lines after it.
#[test]
fn every_dig_gets_the_answer_shown() {
    let dir = TempDir::new("readme-dig", false).expect("a temporary directory");
    let server = with_examples(dir.path());
    let mut asked = 0;
    for block in blocks().into_iter().filter(|block| block.language == "console") {
        let mut lines = block.lines.iter().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            let Some(question) = line.strip_prefix("$ dig @127.0.0.1 -p 5300 ") else { continue };
            let mut shown = Vec::new();
            while let Some((_, line)) = lines.next_if(|(_, line)| !line.starts_with('$')) {
                shown.push(line.clone());
            }
            let place = format!("{}:{}", block.document, block.first + number);
            assert_eq!(answers(&server, question, &place), shown, "{place}: {question}");
            asked += 1;
        }
    }
    assert!(asked >= 3, "only {asked} questions were found: the test has gone blind");
}

/// The program without any configuration but its addresses: it serves the examples.
fn with_examples(dir: &Path) -> Server {
    let (dns, http) = (free_port().expect("a port"), free_port().expect("a port"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
    command.args(["--listen", &dns.to_string(), "--http", &http.to_string(), "--workers", "1"]);
    command.args(["--no-gossip", "--no-docker", "--control", "control"]);
    // What this machine itself configures is not what the README speaks of.
    command.env_clear().current_dir(dir).env("HIVEDNS_SERVER__STATE_DIR", dir.join("state"));
    let origin = names::from_text("groucho.edu.").expect("a name");
    let server = Server::start("hivedns", command, dns, dir, &[origin]).expect("the server starts");
    // They are loaded one after the other, and published as they come.
    for (origin, ..) in hivedns::zone::examples::EXAMPLES {
        let query = message::query(1, 0, &names::from_text(origin).expect("a name"), 6, 1, None);
        let patience = std::time::Duration::from_secs(10);
        let is_served = transport::wait_until(dns, &query, patience, |reply| reply.rcode() == 0, || true);
        assert!(is_served, "{origin} is not served");
    }
    server
}

/// The RDATA of the answer section, as `dig +short` prints it.
fn answers(server: &Server, question: &str, place: &str) -> Vec<String> {
    let words: Vec<&str> = question.split_whitespace().collect();
    assert!(words.contains(&"+short"), "{place}: only `+short` can be compared");
    let words: Vec<&str> = words.into_iter().filter(|word| *word != "+short").collect();
    let (name, rtype) = match words[..] {
        ["-x", address] => (reverse(address), "PTR"),
        [name] => (name.to_owned(), "A"),
        [name, rtype] => (name.to_owned(), rtype),
        _ => panic!("{place}: what is asked by {question}?"),
    };
    let name = if name.ends_with('.') { name } else { format!("{name}.") };
    let name = names::from_text(&name).expect("a name");
    let rtype: hivedns::wire::rtype::RecordType = rtype.parse().expect("a type");
    let query = message::query(1, 0x0100, &name, rtype.0, 1, None);
    let replies = transport::udp(server.address, &[query]).expect("the socket works");
    let reply = replies[0].as_deref().unwrap_or_else(|| panic!("{place}: no answer"));
    let reply = message::decode(reply).expect("the answer is well-formed");
    reply.sections[0].iter().map(|record| render::rdata_text(record.rtype, &record.rdata)).collect()
}

fn reverse(address: &str) -> String {
    let octets: Vec<&str> = address.split('.').rev().collect();
    format!("{}.in-addr.arpa.", octets.join("."))
}
