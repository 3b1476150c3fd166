//! `HIVEDNS_SECTION__KEY` in the environment, and the flags: both give one text to one key.

use super::error::{ConfigError, Source};
use super::forward;
use super::keys::{Key, Reach, Section, Setting, Shape, key_of_flag, sections};
use super::nearest::nearest;
use super::value::{Form, Raw};
use super::{Config, Inputs};

const PREFIX: &str = "HIVEDNS_";

/// Puts what the environment says over what `config` holds.
pub(super) fn read(inputs: &Inputs, config: &mut Config) -> Vec<ConfigError> {
    let (mut errors, mut suffixes) = (Vec::new(), forward::Layer::default());
    for (variable, value) in &inputs.environment {
        // Without a double underscore it is none of ours: container engines give every service the variables
        // of its neighbours, and one named `hivedns` makes HIVEDNS_PORT, HIVEDNS_SERVICE_HOST and the like.
        let Some(name) = variable.strip_prefix(PREFIX).filter(|name| name.contains("__")) else { continue };
        let at = Source::Environment(variable.clone());
        let Some((section, key)) = find(name) else {
            errors.push(unknown(at, name));
            continue;
        };
        let path = format!("{}.{}", section.name, key.name());
        let Some(text) = value.to_str() else {
            errors.push(ConfigError::about(at, &path, "the value is not UTF-8"));
            continue;
        };
        match key {
            Found::Free(suffix) => {
                let raw = Raw { key: path, at: at.clone(), form: Form::Text(text.to_owned()) };
                suffixes.put(suffix, &at, &raw, &mut errors);
            }
            Found::Known(Key { reach: Reach::Setting(setting), .. }) => {
                put(config, setting, &path, at, text, &mut errors);
            }
            Found::Known(Key { reach: Reach::Later | Reach::OfZone(_) | Reach::OfKey(_), .. }) => {
                errors.push(ConfigError::not_available_yet(at, &path));
            }
        }
    }
    suffixes.finish(&mut config.forward, &mut config.said, &mut errors);
    errors
}

/// Puts what the flags say over what `config` holds.
pub(super) fn read_flags(inputs: &Inputs, config: &mut Config) -> Vec<ConfigError> {
    let (mut errors, mut suffixes) = (Vec::new(), forward::Layer::default());
    for said in &inputs.flags {
        let at = Source::Flag(said.flag);
        match key_of_flag(said.flag) {
            Some((section, key, setting)) => {
                put(config, setting, &format!("{}.{}", section.name, key.name), at, &said.text, &mut errors);
            }
            None if forward::FLAGS.contains(&said.flag) => {
                let form = Form::Text(said.text.clone());
                let raw = Raw { key: forward::SECTION.to_owned(), at: at.clone(), form };
                suffixes.put(".", &at, &raw, &mut errors);
            }
            None => errors.push(ConfigError { at, message: "no key has this flag".to_owned() }),
        }
    }
    suffixes.finish(&mut config.forward, &mut config.said, &mut errors);
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

/// The key that a variable means.
enum Found<'n> {
    Known(&'static Key),
    /// Of a section whose keys are the user's.
    Free(&'n str),
}

impl<'n> Found<'n> {
    fn name(&self) -> &'n str {
        match self {
            Found::Known(key) => key.name,
            Found::Free(name) => name,
        }
    }
}

/// The section and key of `SECTION__KEY`.
fn find(name: &str) -> Option<(&'static Section, Found<'_>)> {
    let (section_name, key_name) = name.split_once("__")?;
    let upper = |known: &str, given: &str| known.to_ascii_uppercase() == given;
    let section = sections().find(|section| upper(section.name, section_name))?;
    match section.shape {
        Shape::FreeTable => Some((section, Found::Free(key_name))),
        Shape::Table => {
            let key = section.keys.iter().find(|key| upper(key.name, key_name));
            key.map(|key| (section, Found::Known(key)))
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
