//! `${VAR}` in the strings of a file.
//!
//! What a variable holds is not looked at again. `$${` stands for a literal `${`; any other `$` is itself.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The text with its variables replaced, or what is wrong with one of them.
pub(super) fn expand(text: &str, environment: &BTreeMap<String, OsString>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        expanded.push_str(before);
        let (variable, after) =
            after.split_once('}').ok_or("\"${\" is not closed; write \"$${\" for a literal \"${\"")?;
        if variable.is_empty()
            || !variable.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
        {
            return Err(format!("${{{variable}}} names no variable; write \"$${{\" for a literal \"${{\""));
        }
        let value = environment.get(variable).ok_or_else(|| format!("${{{variable}}} is not set"))?;
        expanded.push_str(value.to_str().ok_or_else(|| format!("${{{variable}}} is not UTF-8"))?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}
