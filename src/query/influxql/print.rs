//! What printing statements has in common. Every part is printed with the formatter that was handed in, so that `{:#}`
//! reaches all of them.

use std::fmt::{self, Display};

/// The items with `, ` between them.
pub(super) fn separated<T: Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        f.write_str(if i == 0 { "" } else { ", " })?;
        item.fmt(f)?;
    }
    Ok(())
}

/// `words` and the value, if there is one. `words` brings its own blanks.
pub(super) fn clause<T: Display>(f: &mut fmt::Formatter<'_>, words: &str, value: Option<&T>) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    f.write_str(words)?;
    value.fmt(f)
}

/// `words` and the items, if there are any.
pub(super) fn list_clause<T: Display>(f: &mut fmt::Formatter<'_>, words: &str, items: &[T]) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    f.write_str(words)?;
    separated(f, items)
}
