//! The configuration file: from its text to values, every complaint with line and column.

use super::error::{ConfigError, Lines, Source};
use super::expand::expand;
use super::forward;
use super::keys::{Key, Reach, Section, Shape, section, sections};
use super::nearest::{distance, nearest};
use super::tsig::{self, TsigKey, TsigKeyDraft};
use super::value::{Form, Raw};
use super::zone::{self, ZoneDraft, ZoneFile};
use super::{Config, Inputs};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use toml_edit::{Item, TableLike, Value};

/// Reads the whole text into `config`. What is faulty leaves its default and an error, in the file's order.
pub(super) fn read(
    octets: &[u8],
    path: &Arc<Path>,
    inputs: &Inputs,
    config: &mut Config,
) -> Vec<ConfigError> {
    let text = match std::str::from_utf8(octets) {
        Ok(text) => text,
        Err(error) => {
            let at = Lines::new(octets).place(path, error.valid_up_to());
            return vec![ConfigError { at, message: "the file is not UTF-8".to_owned() }];
        }
    };
    let lines = Lines::new(octets);
    let document = match toml_edit::Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let at = lines.place(path, error.span().map_or(0, |span| span.start));
            return vec![ConfigError { at, message: error.message().lines().collect::<Vec<_>>().join("; ") }];
        }
    };
    let mut reader = Reader { lines, path, inputs, zones: Vec::new(), keys: Vec::new(), errors: Vec::new() };
    reader.document(document.as_table(), config);
    let Reader { zones, keys, mut errors, .. } = reader;
    zone::add(&mut config.zones, zones, &mut errors);
    tsig::add(&mut config.keys, keys, &mut errors);
    errors.sort_by_key(|error| match error.at {
        Source::File { line, column, .. } => (line, column),
        Source::Default | Source::Environment(_) | Source::Flag(_) => (0, 0),
    });
    errors
}

struct Reader<'a> {
    lines: Lines,
    path: &'a Arc<Path>,
    inputs: &'a Inputs,
    zones: Vec<ZoneFile>,
    keys: Vec<TsigKey>,
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    fn document(&mut self, document: &dyn TableLike, config: &mut Config) {
        for (name, item) in document.iter() {
            let at = self.place_of_key(document, name, item);
            let Some(section) = section(name) else {
                self.errors.push(unknown_section(at, name, item));
                continue;
            };
            match (section.shape, tables(item)) {
                (Shape::Tables, Some(found)) if found.repeated => {
                    found
                        .tables
                        .iter()
                        .for_each(|(table, span)| self.repeated(section, *table, span.clone(), &at));
                }
                (Shape::Table, Some(found)) if !found.repeated => {
                    found.tables.iter().for_each(|(table, _)| self.single(section, *table, &at, config));
                }
                (Shape::FreeTable, Some(found)) if !found.repeated => {
                    found.tables.iter().for_each(|(table, _)| self.free(section, *table, config));
                }
                (Shape::Tables, _) => {
                    self.wrong(at, name, format!("expected [[{name}]], once for each {name}"))
                }
                (Shape::Table | Shape::FreeTable, _) => {
                    self.wrong(at, name, format!("expected a table, [{name}]"));
                }
            }
        }
    }

    /// A `[section]`.
    fn single(&mut self, section: &Section, table: &dyn TableLike, at: &Source, config: &mut Config) {
        if table.is_empty() && section.keys.iter().all(|key| matches!(key.reach, Reach::Later)) {
            self.errors.push(ConfigError::not_available_yet(at.clone(), section.name));
        }
        for (name, item) in table.iter() {
            let at = self.place_of_key(table, name, item);
            let path = format!("{}.{name}", section.name);
            match section.key(name) {
                None => self.errors.push(unknown_key(at, section, name)),
                Some(Key { reach: Reach::Setting(setting), .. }) => {
                    let Some(raw) = self.raw(&path, item, &at) else { continue };
                    match (setting.put)(config, &raw) {
                        Ok(()) => config.said.note(&path, raw.at),
                        Err(more) => self.errors.extend(more),
                    }
                }
                Some(Key { reach: Reach::Later | Reach::OfZone(_) | Reach::OfKey(_), .. }) => {
                    self.errors.push(ConfigError::not_available_yet(at, &path));
                }
            }
        }
    }

    /// A `[section]` whose keys are the user's: suffixes.
    fn free(&mut self, section: &Section, table: &dyn TableLike, config: &mut Config) {
        let mut suffixes = forward::Layer::default();
        for (name, item) in table.iter() {
            let at = self.place_of_key(table, name, item);
            let Some(raw) = self.raw(&format!("{}.{name:?}", section.name), item, &at) else { continue };
            suffixes.put(name, &at, &raw, &mut self.errors);
        }
        suffixes.finish(&mut config.forward, &mut config.said, &mut self.errors);
    }

    /// One of the `[[section]]`s.
    fn repeated(
        &mut self,
        section: &Section,
        table: &dyn TableLike,
        span: Option<Range<usize>>,
        otherwise: &Source,
    ) {
        let whole = self.place(span, otherwise);
        let errors_before = self.errors.len();
        if table.is_empty() && section.keys.iter().all(|key| matches!(key.reach, Reach::Later)) {
            self.errors.push(ConfigError::not_available_yet(whole.clone(), section.name));
        }
        let (mut draft, mut key_draft) = (ZoneDraft::default(), TsigKeyDraft::default());
        for (name, item) in table.iter() {
            let at = self.place_of_key(table, name, item);
            let path = format!("{}.{name}", section.name);
            match section.key(name) {
                None => self.errors.push(unknown_key(at, section, name)),
                Some(Key { reach: Reach::OfZone(of_zone), .. }) => {
                    let Some(raw) = self.raw(&path, item, &at) else { continue };
                    self.errors.extend((of_zone.put)(&mut draft, &raw).err().into_iter().flatten());
                }
                Some(Key { reach: Reach::OfKey(of_key), .. }) => {
                    let Some(raw) = self.raw(&path, item, &at) else { continue };
                    self.errors.extend((of_key.put)(&mut key_draft, &raw).err().into_iter().flatten());
                }
                Some(Key { reach: Reach::Later | Reach::Setting(_), .. }) => {
                    self.errors.push(ConfigError::not_available_yet(at, &path));
                }
            }
        }
        // What is faulty already is not told that it lacks what was faulty.
        if self.errors.len() != errors_before {
            return;
        }
        let directory = self.inputs.directory.join(self.path.parent().unwrap_or(Path::new("")));
        let finished = match section.name {
            "zone" => draft.finish(&directory, &whole).map(|zone| self.zones.push(zone)),
            _ => key_draft.finish(&directory, &whole).map(|key| self.keys.push(key)),
        };
        self.errors.extend(finished.err().into_iter().flatten());
    }

    /// The value with its variables expanded; `None` if one of them was faulty.
    fn raw(&mut self, key: &str, item: &Item, otherwise: &Source) -> Option<Raw> {
        match item.as_value() {
            Some(value) => self.raw_value(key, value, otherwise),
            None => {
                Some(Raw { key: key.to_owned(), at: otherwise.clone(), form: Form::Other(item.type_name()) })
            }
        }
    }

    fn raw_value(&mut self, key: &str, value: &Value, otherwise: &Source) -> Option<Raw> {
        let at = self.place(value.span(), otherwise);
        let form = match value {
            Value::String(text) => match expand(text.value(), &self.inputs.environment) {
                Ok(text) => Form::Text(text),
                Err(message) => {
                    self.wrong(at, key, message);
                    return None;
                }
            },
            Value::Integer(number) => Form::Integer(*number.value()),
            Value::Float(number) => Form::Float(*number.value()),
            Value::Boolean(truth) => Form::Boolean(*truth.value()),
            Value::Array(array) => {
                let items: Vec<_> = array.iter().map(|item| self.raw_value(key, item, &at)).collect();
                Form::List(items.into_iter().collect::<Option<_>>()?)
            }
            Value::Datetime(_) | Value::InlineTable(_) => Form::Other(value.type_name()),
        };
        Some(Raw { key: key.to_owned(), at, form })
    }

    fn wrong(&mut self, at: Source, key: &str, message: impl std::fmt::Display) {
        self.errors.push(ConfigError::about(at, key, message));
    }

    fn place_of_key(&self, table: &dyn TableLike, name: &str, item: &Item) -> Source {
        let span = table.key(name).and_then(|key| key.span()).or_else(|| item.span());
        self.lines.place(self.path, span.map_or(0, |span| span.start))
    }

    fn place(&self, span: Option<Range<usize>>, otherwise: &Source) -> Source {
        match span {
            Some(span) => self.lines.place(self.path, span.start),
            None => otherwise.clone(),
        }
    }
}

/// The tables behind a section's name: one, or those of an array.
struct Tables<'a> {
    repeated: bool,
    tables: Vec<(&'a dyn TableLike, Option<Range<usize>>)>,
}

fn tables(item: &Item) -> Option<Tables<'_>> {
    if let Some(table) = item.as_table_like() {
        return Some(Tables { repeated: false, tables: vec![(table, item.span())] });
    }
    if let Some(array) = item.as_array_of_tables() {
        let tables = array.iter().map(|table| (table as &dyn TableLike, table.span())).collect();
        return Some(Tables { repeated: true, tables });
    }
    let tables = item.as_array()?.iter().map(|value| {
        let table = value.as_inline_table()?;
        Some((table as &dyn TableLike, table.span()))
    });
    Some(Tables { repeated: true, tables: tables.collect::<Option<_>>()? })
}

fn unknown_section(at: Source, name: &str, item: &Item) -> ConfigError {
    let is_table = item.is_table_like() || item.is_array_of_tables();
    match sections().find(|section| section.key(name).is_some()) {
        Some(section) if !is_table => ConfigError::about(
            at,
            name,
            format!("unknown outside a section; it stands in [{}]", section.name),
        ),
        _ => {
            let known = nearest(name, sections().map(|section| section.name)).unwrap_or_default();
            ConfigError::about(at, name, format!("unknown section; the nearest known one is [{known}]"))
        }
    }
}

fn unknown_key(at: Source, section: &Section, name: &str) -> ConfigError {
    let here = nearest(name, section.keys.iter().map(|key| key.name)).unwrap_or_default();
    // The very key of another section is nearer than one of this section with which it shares less than half.
    let elsewhere =
        sections().find(|other| other.key(name).is_some()).filter(|_| distance(name, here) * 2 > name.len());
    let (section_name, key) = elsewhere.map_or((section.name, here), |other| (other.name, name));
    let path = format!("{}.{name}", section.name);
    ConfigError::about(at, &path, format!("unknown key; the nearest known one is {section_name}.{key}"))
}
