//! `HIVEDNS_SECTION__KEY` in the environment, and the flags: both give one text to one key.

use super::error::{ConfigError, Source};
use super::keys::{Key, Reach, Section, Setting, Shape, key_of_flag, sections};
use super::nearest::nearest;
use super::value::{Form, Raw};
use super::{Config, Inputs};

const PREFIX: &str = "HIVEDNS_";

/// Puts what the environment says over what `config` holds.
pub(super) fn read(inputs: &Inputs, config: &mut Config) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for (variable, value) in &inputs.environment {
        // Without a double underscore it is none of ours: container engines give every service the variables
        // of its neighbours, and one named `hivedns` makes HIVEDNS_PORT, HIVEDNS_SERVICE_HOST and the like.
        let Some(name) = variable.strip_prefix(PREFIX).filter(|name| name.contains("__")) else { continue };
        let at = Source::Environment(variable.clone());
        let Some((section, key)) = find(name) else {
            errors.push(unknown(at, name));
            continue;
        };
        let path = key.map_or(section.name.to_owned(), |key| format!("{}.{}", section.name, key.name));
        let Some(Key { reach: Reach::Setting(setting), .. }) = key else {
            errors.push(ConfigError::not_available_yet(at, &path));
            continue;
        };
        match value.to_str() {
            Some(text) => put(config, setting, &path, at, text, &mut errors),
            None => errors.push(ConfigError::about(at, &path, "the value is not UTF-8")),
        }
    }
    errors
}

/// Puts what the flags say over what `config` holds.
pub(super) fn read_flags(inputs: &Inputs, config: &mut Config) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for said in &inputs.flags {
        let at = Source::Flag(said.flag);
        match key_of_flag(said.flag) {
            Some((section, key, setting)) => {
                put(config, setting, &format!("{}.{}", section.name, key.name), at, &said.text, &mut errors);
            }
            None => errors.push(ConfigError { at, message: "no key has this flag".to_owned() }),
        }
    }
    errors
}

fn put(
    config: &mut Config,
    setting: &Setting,
    path: &str,
    at: Source,
    text: &str,
    errors: &mut Vec<ConfigError>,
) {
    let raw = Raw { key: path.to_owned(), at: at.clone(), form: Form::Text(text.to_owned()) };
    match (setting.put)(config, &raw) {
        Ok(()) => config.said.note(path, at),
        Err(more) => errors.extend(more),
    }
}

/// The section and key of `SECTION__KEY`; no key where the section's keys are free.
fn find(name: &str) -> Option<(&'static Section, Option<&'static Key>)> {
    let (section_name, key_name) = name.split_once("__")?;
    let upper = |known: &str, given: &str| known.to_ascii_uppercase() == given;
    let section = sections().find(|section| upper(section.name, section_name))?;
    match section.shape {
        Shape::FreeTable => Some((section, None)),
        Shape::Table => {
            section.keys.iter().find(|key| upper(key.name, key_name)).map(|key| (section, Some(key)))
        }
        Shape::Tables => None,
    }
}

fn unknown(at: Source, name: &str) -> ConfigError {
    let repeated = |section: &&Section| {
        let given = name.split("__").next().unwrap_or_default();
        section.shape == Shape::Tables && section.name.to_ascii_uppercase() == given
    };
    let message = match sections().find(repeated) {
        Some(section) => format!("[[{}]] cannot be given in the environment", section.name),
        None => {
            let known: Vec<String> = sections()
                .filter(|section| section.shape == Shape::Table)
                .flat_map(|section| section.keys.iter().map(|key| format!("{}__{}", section.name, key.name)))
                .map(|name| name.to_ascii_uppercase())
                .collect();
            let nearest = nearest(name, known.iter().map(String::as_str)).unwrap_or_default();
            format!("unknown variable; the nearest known one is {PREFIX}{nearest}")
        }
    };
    ConfigError { at, message }
}
