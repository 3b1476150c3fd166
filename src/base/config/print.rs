//! `--print-config`: the configuration in force, as a file that says the same.

use super::Config;
use super::error::{Said, Source, one_line};
use super::forward;
use super::keys::{Reach, Section, Shape, sections};
use std::fmt::Write;

/// The whole configuration as TOML: each key below its doc, and beside it where its value comes from.
///
/// Read as a configuration file it gives an equal [`Config`], except that a file there is forbids the example
/// zones: `embedded_examples` is then false.
pub fn print(config: &Config) -> String {
    let mut text = String::from("# The configuration in force.\n");
    if config.embedded_examples {
        text.push_str("# The example zones are served too: no file, zone or upstream was given.\n");
    }
    if config.no_gossip {
        text.push_str("# Gossip is off: --no-gossip.\n");
    }
    if let Some(path) = &config.control {
        let _ =
            writeln!(text, "# The control socket: {} (flag --control).", one_line(&path.to_string_lossy()));
    }
    for section in sections() {
        match section.shape {
            Shape::Table => single(&mut text, section, config),
            Shape::FreeTable => free(&mut text, section, config),
            Shape::Tables => repeated(&mut text, section, config),
        }
    }
    text
}

fn single(text: &mut String, section: &Section, config: &Config) {
    let mut header = false;
    for key in section.keys {
        let Reach::Setting(setting) = &key.reach else { continue };
        if !header {
            let _ = write!(text, "\n# {}\n[{}]\n", section.about, section.name);
            header = true;
        }
        let source = config.said.source(&format!("{}.{}", section.name, key.name));
        line(text, key.doc, key.name, &(setting.show)(config), &source);
    }
}

/// Its keys are the user's; each stands in quotes, for each has a dot.
fn free(text: &mut String, section: &Section, config: &Config) {
    let _ = write!(text, "\n# {}\n[{}]\n", section.about, section.name);
    for suffix in config.forward.suffixes() {
        let key = toml_edit::Key::new(suffix.name.as_str()).to_string();
        line(text, forward::DOC, key.trim(), &suffix.to.emit(), &config.said.source(&suffix.key()));
    }
}

fn repeated(text: &mut String, section: &Section, config: &Config) {
    for zone in config.zones.iter().filter(|_| section.name == "zone") {
        each(text, section, &zone.said, |reach| match reach {
            Reach::OfZone(of_zone) => (of_zone.show)(zone),
            Reach::OfKey(_) | Reach::Setting(_) | Reach::Later => None,
        });
    }
    for key in config.keys.iter().filter(|_| section.name == "key") {
        each(text, section, &key.said, |reach| match reach {
            Reach::OfKey(of_key) => Some((of_key.show)(key)),
            Reach::OfZone(_) | Reach::Setting(_) | Reach::Later => None,
        });
    }
}

fn each(
    text: &mut String,
    section: &Section,
    said: &Said,
    show: impl Fn(&Reach) -> Option<toml_edit::Value>,
) {
    let _ = write!(text, "\n# {}\n[[{}]]\n", section.about, section.name);
    for key in section.keys {
        let Some(value) = show(&key.reach) else { continue };
        let source = said.source(&format!("{}.{}", section.name, key.name));
        line(text, key.doc, key.name, &value, &source);
    }
}

fn line(text: &mut String, doc: &str, key: &str, value: &toml_edit::Value, source: &Source) {
    let origin = match source {
        Source::Default => "default".to_owned(),
        Source::File { path, line, .. } => format!("{}:{line}", path.display()),
        Source::Environment(variable) => format!("environment {variable}"),
        Source::Flag(flag) => format!("flag {flag}"),
    };
    let _ = writeln!(text, "# {doc}\n{key} = {}  # {}", value.to_string().trim(), one_line(&origin));
}
