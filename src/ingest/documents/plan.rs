//! Documents of one table against its schema: which are taken, into which columns, and what columns that needs.
//!
//! Pure: facts in, plan out. Documents are looked at one after the other, and one that is refused leaves no trace: the columns
//! that it would have made are not made.

use std::fmt;

use ahash::{AHashMap, AHashSet};

use crate::model::schema::TIME_COLUMN;
use crate::model::{Column, ColumnKind, Documents, FieldType, Points, RowIdentity, TablePoints, TableSchema, Value};

use super::fit::{Fit, converted, fit, natural_type, text};
use super::{Columns, DocumentRules, OnConflict, RefusedDocument};

/// Why a document was not taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Unfit {
    /// The value is no value of the column's type.
    Value { column: String, stored: FieldType, value: String },
    /// The table would have more columns than it may.
    TooManyColumns { adding: usize, max: usize },
    /// There is no such table, and documents make none in its database.
    NoTable { table: String },
    /// There is no such column, and documents make none in their database.
    NoColumn { column: String },
    /// Older than the retention policy keeps.
    BeyondRetention { time_ns: i64, oldest_ns: i64 },
    /// Rows of the table that are equal in tags and time become one: documents would be lost.
    Merges { table: String },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Value { column, stored, value } => write!(f, "field {column:?} is {stored}, got {value:?}"),
            Unfit::TooManyColumns { adding, max } => {
                write!(f, "{adding} more columns would make more than {max}")
            }
            Unfit::NoTable { table } => {
                write!(f, "table {table:?} not found, and documents make none in this database")
            }
            Unfit::NoColumn { column } => {
                write!(f, "column {column:?} not found, and documents make none in this database")
            }
            Unfit::BeyondRetention { time_ns, oldest_ns } => {
                write!(f, "time {time_ns} is older than what is kept, which begins at {oldest_ns}")
            }
            Unfit::Merges { table } => {
                write!(f, "table {table:?} makes one row of those that are equal in tags and time")
            }
        }
    }
}

/// A column as the plan sees it so far.
#[derive(Debug, Clone)]
struct Slot {
    name: String,
    kind: SlotKind,
    is_new: bool,
    widened: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotKind {
    Tag,
    Field(FieldType),
}

/// No column: the value's document is not taken.
const NOWHERE: u32 = u32::MAX;

/// What becomes of the documents of one table.
#[derive(Debug)]
pub(super) struct Plan {
    slots: Vec<Slot>,
    /// Of each value of each document, in order, the position of its column in `slots`.
    places: Vec<u32>,
    refused: Vec<(usize, Unfit)>,
    rows: usize,
    is_new_table: bool,
}

/// Plans `documents` on the table's `schema`, if it exists. `oldest_ns`: the first time that is kept. `strictly`: documents make
/// no table and no column.
pub(super) fn plan(
    documents: &Documents,
    schema: Option<&TableSchema>,
    rules: &DocumentRules,
    oldest_ns: Option<i64>,
    strictly: bool,
) -> Plan {
    let merges = schema.is_some_and(|schema| schema.identity == RowIdentity::Series) && !rules.may_merge;
    let mut planner = Planner {
        documents,
        known: Known::of(schema),
        rules,
        tags: rules.tags.iter().map(String::as_str).collect(),
        // A type that was declared stays, as with a table that merges.
        may_widen: !strictly && schema.is_none_or(|schema| schema.identity == RowIdentity::Append),
        may_add: !strictly,
        slots: Vec::new(),
        by_name: vec![None; documents.names().len()],
        siblings: AHashMap::new(),
        new_slots: AHashMap::new(),
        added: 0,
        places: Vec::new(),
    };
    let mut refused = Vec::new();
    for row in 0..documents.rows() {
        let time_ns = documents.times()[row];
        let why = match oldest_ns {
            _ if strictly && schema.is_none() => Some(Unfit::NoTable { table: documents.table.clone() }),
            _ if merges => Some(Unfit::Merges { table: documents.table.clone() }),
            Some(oldest_ns) if time_ns < oldest_ns => Some(Unfit::BeyondRetention { time_ns, oldest_ns }),
            _ => planner.row(row).err(),
        };
        if let Some(why) = why {
            planner.places.extend(documents.row(row).map(|_| NOWHERE));
            refused.push((row, why));
        }
    }
    Plan {
        slots: planner.slots,
        places: planner.places,
        refused,
        rows: documents.rows(),
        is_new_table: schema.is_none(),
    }
}

/// The table's columns by the names they were written with.
struct Known<'a> {
    tags: AHashMap<&'a str, &'a Column>,
    fields: AHashMap<&'a str, &'a Column>,
}

impl<'a> Known<'a> {
    fn of(schema: Option<&'a TableSchema>) -> Self {
        let columns = || schema.into_iter().flat_map(|schema| &schema.columns);
        let of = |kind| columns().filter(move |c| c.kind == kind).map(|c| (c.name.as_str(), c)).collect();
        Known { tags: of(ColumnKind::Tag), fields: of(ColumnKind::Field) }
    }

    fn count(&self) -> usize {
        self.tags.len() + self.fields.len()
    }
}

struct Planner<'a> {
    documents: &'a Documents,
    known: Known<'a>,
    rules: &'a DocumentRules,
    /// Those of the rules.
    tags: AHashSet<&'a str>,
    may_widen: bool,
    may_add: bool,
    slots: Vec<Slot>,
    /// The column of each of the documents' names.
    by_name: Vec<Option<u32>>,
    /// Columns beside that of a name, by name and type.
    siblings: AHashMap<(u32, FieldType), u32>,
    /// New ones among `slots`, by name: a tag and a field may share one.
    new_slots: AHashMap<String, Vec<u32>>,
    /// How many of `slots` are new.
    added: usize,
    places: Vec<u32>,
}

/// What a document changed, to be taken back.
#[derive(Default)]
struct Undo {
    named: Vec<u32>,
    siblings: Vec<(u32, FieldType)>,
    widened: Vec<(u32, FieldType)>,
}

impl Planner<'_> {
    /// Finds the places of a document's values; on `Err` nothing has changed.
    fn row(&mut self, row: usize) -> Result<(), Unfit> {
        let (slots, places, added) = (self.slots.len(), self.places.len(), self.added);
        let mut undo = Undo::default();
        let documents = self.documents;
        let mut outcome = Ok(());
        let mut values = documents.row(row);
        while let Some((name, value)) = values.next() {
            match self.place(name, value, &mut undo) {
                Ok(slot) => self.places.push(slot),
                Err(why) => {
                    outcome = Err(why);
                    break;
                }
            }
            if self.added > added && !self.may_add {
                let column = self.slots.last().map_or_else(String::new, |slot| slot.name.clone());
                outcome = Err(Unfit::NoColumn { column });
                break;
            }
            if self.added > added && self.known.count() + self.added > self.rules.columns_max {
                // Those behind are counted, not planned: a document may have very many.
                let adding = self.added - added + values.filter(|(name, _)| self.is_unknown(*name)).count();
                outcome = Err(Unfit::TooManyColumns { adding, max: self.rules.columns_max });
                break;
            }
        }
        if outcome.is_err() {
            for (slot, field_type) in undo.widened {
                self.slots[slot as usize].kind = SlotKind::Field(field_type);
                self.slots[slot as usize].widened = false;
            }
            undo.named.iter().for_each(|name| self.by_name[*name as usize] = None);
            for key in &undo.siblings {
                self.siblings.remove(key);
            }
            for slot in self.slots.drain(slots..).filter(|slot| slot.is_new) {
                if let Some(places) = self.new_slots.get_mut(&slot.name) {
                    places.retain(|at| (*at as usize) < slots);
                }
            }
            self.places.truncate(places);
            self.added = added;
        }
        outcome
    }

    /// Whether neither the table nor a document so far has a column called so.
    fn is_unknown(&self, name: u32) -> bool {
        let written = self.documents.names()[name as usize].as_str();
        self.by_name[name as usize].is_none()
            && !self.known.tags.contains_key(written)
            && !self.known.fields.contains_key(written)
    }

    fn place(&mut self, name: u32, value: Value<'_>, undo: &mut Undo) -> Result<u32, Unfit> {
        let slot = match self.by_name[name as usize] {
            Some(slot) => slot,
            None => {
                let written = self.documents.names()[name as usize].clone();
                let is_tag = self.tags.contains(written.as_str());
                let slot = self.slot(written, is_tag, self.new_type(value));
                self.by_name[name as usize] = Some(slot);
                undo.named.push(name);
                slot
            }
        };
        if self.fits(slot, value, undo) {
            return Ok(slot);
        }
        let SlotKind::Field(stored) = self.slots[slot as usize].kind else { return Ok(slot) };
        match self.rules.on_conflict {
            OnConflict::Sibling => Ok(self.sibling(name, value, undo)),
            OnConflict::Reject => {
                let column = self.documents.names()[name as usize].clone();
                Err(Unfit::Value { column, stored, value: text(value) })
            }
        }
    }

    /// Whether `value` goes into a column, which is widened if that helps.
    fn fits(&mut self, slot: u32, value: Value<'_>, undo: &mut Undo) -> bool {
        let SlotKind::Field(stored) = self.slots[slot as usize].kind else { return true };
        match fit(value, stored) {
            Fit::Fits => true,
            Fit::NeedsFloat if self.may_widen => {
                undo.widened.push((slot, stored));
                let slot = &mut self.slots[slot as usize];
                slot.kind = SlotKind::Field(FieldType::Float);
                slot.widened = !slot.is_new;
                true
            }
            Fit::NeedsFloat | Fit::No => false,
        }
    }

    /// The column for values of this kind beside that of `name`.
    fn sibling(&mut self, name: u32, value: Value<'_>, undo: &mut Undo) -> u32 {
        let field_type = match self.new_type(value) {
            // One column of numbers is enough.
            FieldType::Integer | FieldType::Unsigned => FieldType::Float,
            other => other,
        };
        if let Some(slot) = self.siblings.get(&(name, field_type)) {
            return *slot;
        }
        let written = &self.documents.names()[name as usize];
        let mut sibling = format!("{written}__{}", suffix(field_type));
        // A field of that name may exist with another type; then it is one further.
        while self.known.fields.get(sibling.as_str()).is_some_and(|c| c.field_type != Some(field_type)) {
            sibling.push('_');
        }
        let slot = self.slot(sibling, false, field_type);
        self.siblings.insert((name, field_type), slot);
        undo.siblings.push((name, field_type));
        slot
    }

    /// The type of a column that is made for `value`.
    fn new_type(&self, value: Value<'_>) -> FieldType {
        match natural_type(value) {
            FieldType::Integer | FieldType::Unsigned if self.rules.numbers_are_floats => FieldType::Float,
            other => other,
        }
    }

    /// The column called `name`, made for values of `field_type` when there is none.
    fn slot(&mut self, name: String, is_tag: bool, field_type: FieldType) -> u32 {
        let tag = self.known.tags.get(name.as_str());
        let field = self.known.fields.get(name.as_str()).and_then(|c| c.field_type);
        let (kind, is_new) = match (tag, field) {
            (Some(_), None) => (SlotKind::Tag, false),
            (Some(_), Some(_)) if is_tag => (SlotKind::Tag, false),
            (_, Some(stored)) => (SlotKind::Field(stored), false),
            // What is called like the column of time cannot be a tag.
            (None, None) if is_tag && name != TIME_COLUMN => (SlotKind::Tag, true),
            (None, None) => (SlotKind::Field(field_type), true),
        };
        // Two of the documents' names may mean one column: a sibling's, and the name itself.
        if is_new {
            let made = self.new_slots.get(&name).into_iter().flatten();
            if let Some(at) = made.copied().find(|at| self.slots[*at as usize].kind == kind) {
                return at;
            }
            self.new_slots.entry(name.clone()).or_default().push(self.slots.len() as u32);
            self.added += 1;
        }
        self.slots.push(Slot { name, kind, is_new, widened: false });
        self.slots.len() as u32 - 1
    }
}

fn suffix(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Float => "float64",
        FieldType::Integer => "int64",
        FieldType::Unsigned => "uint64",
        FieldType::Boolean => "boolean",
        FieldType::String => "utf8",
    }
}

impl Plan {
    pub(super) fn refuses(&self) -> bool {
        !self.refused.is_empty()
    }

    /// The refused documents of table `table` of the request.
    pub(super) fn refused(&self, table: usize) -> impl Iterator<Item = RefusedDocument> + '_ {
        self.refused.iter().map(move |(row, why)| RefusedDocument { table, row: *row, why: why.clone() })
    }

    /// Cells of the matrix that the taken documents make.
    pub(super) fn cells(&self) -> usize {
        (self.rows - self.refused.len()).saturating_mul(self.slots.len())
    }

    /// What the taken documents need that `table` does not have. `None`: nothing.
    pub(super) fn needed(&self, table: &str) -> Option<Columns> {
        let taken = self.rows - self.refused.len();
        let mut columns =
            Columns { table: table.to_string(), tags: Vec::new(), fields: Vec::new(), widened: Vec::new() };
        for slot in &self.slots {
            match slot.kind {
                SlotKind::Tag if slot.is_new => columns.tags.push(slot.name.clone()),
                SlotKind::Field(field_type) if slot.is_new => columns.fields.push((slot.name.clone(), field_type)),
                SlotKind::Field(_) if slot.widened => columns.widened.push(slot.name.clone()),
                _ => {}
            }
        }
        let nothing = columns.tags.is_empty() && columns.fields.is_empty() && columns.widened.is_empty();
        (taken > 0 && (self.is_new_table || !nothing)).then_some(columns)
    }

    /// The taken documents as points: every value is of its column's type.
    pub(super) fn points(&self, documents: &Documents) -> TablePoints {
        let mut all = Points::default();
        let table = all.table_index(&documents.table);
        let points = all.table_mut(table);
        let columns: Vec<usize> = self
            .slots
            .iter()
            .map(|slot| match slot.kind {
                SlotKind::Tag => points.tag_key_index(&slot.name) as usize,
                SlotKind::Field(field_type) => points.field_index(&slot.name, field_type),
            })
            .collect();
        let mut refused = self.refused.iter().map(|(row, _)| *row).peekable();
        let mut places = self.places.iter();
        let mut tags: Vec<(u32, String)> = Vec::new();
        let mut known_series: AHashMap<Vec<(u32, String)>, u32> = AHashMap::new();
        for row in 0..documents.rows() {
            if refused.next_if_eq(&row).is_some() {
                for _ in documents.row(row) {
                    places.next();
                }
                continue;
            }
            points.begin_row(0, documents.times()[row]);
            tags.clear();
            for ((_, value), place) in documents.row(row).zip(places.by_ref()) {
                let column = columns[*place as usize];
                match self.slots[*place as usize].kind {
                    SlotKind::Tag => tags.push((column as u32, text(value))),
                    SlotKind::Field(FieldType::String) => match value {
                        Value::Text(text) => points.set_string(column, text),
                        other => points.set_string(column, &text(other)),
                    },
                    SlotKind::Field(field_type) => set(points, column, converted(value, field_type)),
                }
            }
            tags.sort_unstable();
            let series = match known_series.get(&tags) {
                Some(series) => *series,
                None => {
                    let series = points.series.push(tags.iter().map(|(key, value)| (*key, value.as_str())));
                    known_series.insert(tags.clone(), series);
                    series
                }
            };
            points.set_series(series);
        }
        all.take_table(table)
    }
}

fn set(points: &mut TablePoints, column: usize, value: Value<'_>) {
    match value {
        Value::Boolean(value) => points.set_boolean(column, value),
        Value::Integer(value) => points.set_integer(column, value),
        Value::Unsigned(value) => points.set_unsigned(column, value),
        Value::Float(value) => points.set_float(column, value),
        Value::Text(value) => points.set_string(column, value),
    }
}
