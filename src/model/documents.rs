//! Documents as a parser hands them over: rows of named values, each of the type its text had. Which columns they go
//! into is decided against the catalog.

use ahash::AHashMap;

/// Most distinct names that the documents of one table may have, also those that came to nothing: a name nested in long ones
/// takes far more room than its bytes in the request.
pub const NAMES_MAX: usize = 65_536;

/// A document has a name beyond those that there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the documents have more than {max} distinct names")]
pub struct TooManyNames {
    pub max: usize,
}

/// A value as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Boolean(bool),
    Integer(i64),
    /// Beyond what an [`Integer`](Value::Integer) holds.
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
}

/// Documents of one table in the order they were written.
///
/// They are written one at a time: a [`set`](Self::set) a value, then [`finish`](Self::finish) or [`abort`](Self::abort).
#[derive(Debug)]
pub struct Documents {
    pub table: String,
    names: Vec<String>,
    by_name: AHashMap<String, u32>,
    /// Of each name, the document (counted from 1) that had it last, and where its value is.
    latest: Vec<(u32, u32)>,
    /// Most of `names`.
    names_max: usize,
    values: Vec<(u32, Held)>,
    /// Where each document's values end.
    ends: Vec<u32>,
    times: Vec<i64>,
    /// All texts, one after the other.
    text: String,
}

#[derive(Debug, Clone, Copy)]
enum Held {
    Boolean(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text {
        start: u32,
        end: u32,
    },
    /// Taken back.
    Nothing,
}

impl Documents {
    pub fn new(table: &str) -> Self {
        Documents {
            table: table.to_string(),
            names: Vec::new(),
            by_name: AHashMap::new(),
            latest: Vec::new(),
            names_max: NAMES_MAX,
            values: Vec::new(),
            ends: Vec::new(),
            times: Vec::new(),
            text: String::new(),
        }
    }

    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// A document's time each, nanoseconds.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// Names of values, in order of first appearance; some may have no value left.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Lets no more than `max` names in from here on, and never more than [`NAMES_MAX`].
    pub fn limit_names(&mut self, max: usize) {
        self.names_max = max.min(NAMES_MAX);
    }

    /// The values of one document, names by their position in [`names`](Self::names).
    pub fn row(&self, row: usize) -> impl Iterator<Item = (u32, Value<'_>)> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        self.values[start..self.ends[row] as usize].iter().filter_map(|(name, held)| Some((*name, self.value(*held)?)))
    }

    /// Gives the document being written a value; of a name given twice the last value counts. `Err`: the name is new and
    /// there is no room for it; known ones go on working.
    pub fn set(&mut self, name: &str, value: Value<'_>) -> Result<(), TooManyNames> {
        let name = self.name_index(name)?;
        let held = match value {
            Value::Boolean(value) => Held::Boolean(value),
            Value::Integer(value) => Held::Integer(value),
            Value::Unsigned(value) => Held::Unsigned(value),
            Value::Float(value) => Held::Float(value),
            Value::Text(text) => {
                let start = self.text.len();
                self.text.push_str(text);
                Held::Text { start: offset(start), end: offset(self.text.len()) }
            }
        };
        let document = self.open_document();
        match self.latest[name as usize] {
            (last, at) if last == document => self.values[at as usize].1 = held,
            _ => {
                self.latest[name as usize] = (document, offset(self.values.len()));
                self.values.push((name, held));
            }
        }
        Ok(())
    }

    /// A value of the document being written.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        self.value(self.values[self.place(name)?].1)
    }

    /// Takes a value of the document being written back.
    pub fn remove(&mut self, name: &str) {
        if let Some(at) = self.place(name) {
            self.values[at].1 = Held::Nothing;
        }
    }

    /// Names and values of the document being written.
    pub fn open_values(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let start = self.ends.last().map_or(0, |end| *end as usize);
        let values = self.values[start..].iter();
        values.filter_map(|(name, held)| Some((self.names[*name as usize].as_str(), self.value(*held)?)))
    }

    /// Ends the document being written and returns its row.
    pub fn finish(&mut self, time_ns: i64) -> usize {
        self.times.push(time_ns);
        self.ends.push(offset(self.values.len()));
        self.times.len() - 1
    }

    /// Forgets the document being written.
    pub fn abort(&mut self) {
        let start = self.ends.last().map_or(0, |end| *end as usize);
        for (name, _) in &self.values[start..] {
            self.latest[*name as usize] = (0, 0);
        }
        self.values.truncate(start);
    }

    fn open_document(&self) -> u32 {
        offset(self.times.len() + 1)
    }

    fn place(&self, name: &str) -> Option<usize> {
        let (document, at) = self.latest[*self.by_name.get(name)? as usize];
        (document == self.open_document()).then_some(at as usize)
    }

    fn name_index(&mut self, name: &str) -> Result<u32, TooManyNames> {
        if let Some(&index) = self.by_name.get(name) {
            return Ok(index);
        }
        if self.names.len() >= self.names_max {
            return Err(TooManyNames { max: self.names_max });
        }
        let index = offset(self.names.len());
        self.names.push(name.to_string());
        self.latest.push((0, 0));
        self.by_name.insert(name.to_string(), index);
        Ok(index)
    }

    fn value(&self, held: Held) -> Option<Value<'_>> {
        Some(match held {
            Held::Boolean(value) => Value::Boolean(value),
            Held::Integer(value) => Value::Integer(value),
            Held::Unsigned(value) => Value::Unsigned(value),
            Held::Float(value) => Value::Float(value),
            Held::Text { start, end } => Value::Text(&self.text[start as usize..end as usize]),
            Held::Nothing => return None,
        })
    }
}

fn offset(position: usize) -> u32 {
    u32::try_from(position).expect("request bodies are limited far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(documents: &Documents, row: usize) -> Vec<(&str, Value<'_>)> {
        documents.row(row).map(|(name, value)| (documents.names()[name as usize].as_str(), value)).collect()
    }

    #[test]
    fn the_last_value_of_a_name_counts_in_its_own_document_only() {
        let mut documents = Documents::new("t");
        documents.set("a", Value::Integer(1)).unwrap();
        documents.set("b", Value::Text("x")).unwrap();
        documents.set("a", Value::Text("later")).unwrap();
        assert_eq!(documents.get("a"), Some(Value::Text("later")));
        assert_eq!(documents.finish(7), 0);
        assert_eq!(documents.get("a"), None);
        documents.set("a", Value::Boolean(true)).unwrap();
        assert_eq!(documents.finish(8), 1);
        assert_eq!(row(&documents, 0), [("a", Value::Text("later")), ("b", Value::Text("x"))]);
        assert_eq!(row(&documents, 1), [("a", Value::Boolean(true))]);
        assert_eq!(documents.times(), [7, 8]);
    }

    #[test]
    fn names_are_limited_and_known_ones_go_on_working() {
        let mut documents = Documents::new("t");
        documents.limit_names(1);
        documents.set("a", Value::Integer(1)).unwrap();
        assert_eq!(documents.set("b", Value::Integer(1)), Err(TooManyNames { max: 1 }));
        documents.abort();
        assert_eq!(documents.set("b", Value::Integer(1)), Err(TooManyNames { max: 1 }));
        documents.set("a", Value::Integer(2)).unwrap();
        documents.limit_names(usize::MAX);
        for name in 1..NAMES_MAX {
            documents.set(&name.to_string(), Value::Integer(1)).unwrap();
        }
        assert_eq!(documents.set("b", Value::Integer(1)), Err(TooManyNames { max: NAMES_MAX }));
    }

    #[test]
    fn what_is_taken_back_is_not_there() {
        let mut documents = Documents::new("t");
        documents.set("a", Value::Float(0.5)).unwrap();
        documents.abort();
        assert_eq!(documents.get("a"), None);
        documents.set("t", Value::Unsigned(u64::MAX)).unwrap();
        documents.set("a", Value::Integer(2)).unwrap();
        documents.remove("t");
        assert_eq!(documents.open_values().collect::<Vec<_>>(), [("a", Value::Integer(2))]);
        documents.finish(0);
        assert_eq!(row(&documents, 0), [("a", Value::Integer(2))]);
    }
}
