//! Points against the schema: which are taken, which columns they need, and the batches they make.
//!
//! Pure: facts in, plan out. Who extends the catalog and what a door does about rejected points is decided in [`accept`](super::accept).

use std::fmt;

use ahash::AHashMap;
use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::compute::filter;
use datafusion::arrow::error::ArrowError;

use crate::model::batch::tags_of;
use crate::model::schema::TIME_COLUMN;
use crate::model::{
    ColumnKind, FieldColumn, FieldType, Precision, SeriesKeys, TableBatch, TableId, TablePoints, TableSchema,
};

/// What a door does with points that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPoints {
    /// Takes the others and tells how many were dropped (InfluxDB's partial write).
    Drop,
    /// Takes none.
    RefuseAll,
}

/// How a door checks points.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub bad_points: BadPoints,
    /// Whether a tag and a field of one table may have the same name.
    pub tag_and_field_may_share_a_name: bool,
    /// Whether a tag may be called `time`: its column has another name then.
    pub tag_may_be_called_time: bool,
}

/// Why a point was not taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Rejection {
    FieldType {
        table: String,
        field: String,
        stored: FieldType,
        got: FieldType,
    },
    /// The only field is called `time`.
    FieldNamedTime {
        table: String,
    },
    TagNamedTime {
        table: String,
    },
    /// The column exists as the other of tag and field.
    ColumnKind {
        table: String,
        column: String,
        stored: ColumnKind,
    },
    /// Older than the retention policy keeps.
    BeyondRetention {
        time_ns: i64,
        oldest_ns: i64,
    },
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::FieldType { table, field, stored, got } => {
                write!(f, "field {field:?} of table {table:?} is {stored}, got {got}")
            }
            Rejection::FieldNamedTime { table } => write!(f, "a field of table {table:?} is called \"time\""),
            Rejection::TagNamedTime { table } => write!(f, "a tag of table {table:?} is called \"time\""),
            Rejection::ColumnKind { table, column, stored } => {
                write!(f, "column {column:?} of table {table:?} is a {}", stored.as_str())
            }
            Rejection::BeyondRetention { time_ns, oldest_ns } => {
                write!(f, "time {time_ns} is older than what is kept, which begins at {oldest_ns}")
            }
        }
    }
}

/// The first point that was not taken, and how many there are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rejected {
    pub first: Option<Rejection>,
    pub points: usize,
}

/// Columns that the taken points of a table need and its schema, as the check saw it, lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    pub table: String,
    pub tags: Vec<String>,
    pub fields: Vec<(String, FieldType)>,
}

impl Needed {
    /// Whether `schema` has every column (a field's type is not compared: the next check sees it).
    pub fn is_met_by(&self, schema: &TableSchema) -> bool {
        self.missing_from(schema).is_none()
    }

    /// The first column that `schema` lacks.
    pub fn missing_from(&self, schema: &TableSchema) -> Option<&str> {
        let tags = self.tags.iter().map(|tag| (tag, ColumnKind::Tag));
        let fields = self.fields.iter().map(|(field, _)| (field, ColumnKind::Field));
        let mut all = tags.chain(fields);
        all.find(|(name, kind)| schema.find(name, *kind).is_none()).map(|(name, _)| name.as_str())
    }

    /// Adds what `schema` lacks.
    pub fn add_to(&self, schema: &mut TableSchema) {
        for tag in &self.tags {
            schema.add_missing_tag(tag);
        }
        for (field, field_type) in &self.fields {
            schema.add_missing_field(field, *field_type);
        }
    }
}

/// What a check found for one table.
#[derive(Debug)]
pub struct Checked {
    pub needed: Needed,
    pub rejected: Rejected,
    /// Rows taken; `None`: all.
    taken: Option<Vec<bool>>,
    /// Positions in `TablePoints::fields` of the columns to keep.
    fields: Vec<usize>,
}

impl Checked {
    /// Every row of points that were checked in another way, with every field.
    pub(super) fn all_of(points: &TablePoints) -> Checked {
        let needed = Needed { table: points.name.clone(), tags: Vec::new(), fields: Vec::new() };
        Checked { needed, rejected: Rejected::default(), taken: None, fields: (0..points.fields.len()).collect() }
    }

    pub fn rows(&self, points: &TablePoints) -> usize {
        points.rows() - self.rejected.points
    }
}

/// Checks the points of one table. `schema`: the table's, if it exists. `oldest_ns`: the first time that is kept.
pub fn check(points: &TablePoints, schema: Option<&TableSchema>, rules: &Rules, oldest_ns: Option<i64>) -> Checked {
    let mut verdict = Verdict { taken: None, rejected: Rejected::default(), rows: points.rows() };
    check_tags(points, schema, rules, &mut verdict);
    let types = field_types(points, schema);
    check_fields(points, schema, rules, &types, &mut verdict);
    if let Some(oldest_ns) = oldest_ns {
        for (row, &time_ns) in points.times.iter().enumerate() {
            if time_ns < oldest_ns {
                verdict.reject(row, || Rejection::BeyondRetention { time_ns, oldest_ns });
            }
        }
    }
    let kept = |index: &usize| {
        let field = &points.fields[*index];
        field.name != TIME_COLUMN
            && types[*index] == Some(field.field_type())
            && match &verdict.taken {
                None => field.first_row().is_some(),
                Some(taken) => (0..taken.len()).any(|row| taken[row] && field.has(row)),
            }
    };
    let fields: Vec<usize> = (0..points.fields.len()).filter(kept).collect();
    let needed = Needed {
        table: points.name.clone(),
        tags: used_tags(points, schema, verdict.taken.as_deref()),
        fields: fields
            .iter()
            .map(|&i| &points.fields[i])
            .filter(|field| lacks(schema, &field.name, ColumnKind::Field))
            .map(|field| (field.name.clone(), field.field_type()))
            .collect(),
    };
    Checked { needed, rejected: verdict.rejected, taken: verdict.taken, fields }
}

fn lacks(schema: Option<&TableSchema>, name: &str, kind: ColumnKind) -> bool {
    schema.is_none_or(|schema| schema.find(name, kind).is_none())
}

struct Verdict {
    taken: Option<Vec<bool>>,
    rejected: Rejected,
    rows: usize,
}

impl Verdict {
    fn reject(&mut self, row: usize, why: impl FnOnce() -> Rejection) {
        let taken = self.taken.get_or_insert_with(|| vec![true; self.rows]);
        if std::mem::replace(&mut taken[row], false) {
            self.rejected.points += 1;
            self.rejected.first.get_or_insert_with(why);
        }
    }
}

fn check_tags(points: &TablePoints, schema: Option<&TableSchema>, rules: &Rules, verdict: &mut Verdict) {
    let refusal = |key: &str| {
        if key == TIME_COLUMN && !rules.tag_may_be_called_time {
            return Some(Rejection::TagNamedTime { table: points.name.clone() });
        }
        let stored = |kind| schema.is_some_and(|s| s.find(key, kind).is_some());
        let written_as_field = || points.fields.iter().any(|f| f.name == key && f.first_row().is_some());
        let taken_by_field = stored(ColumnKind::Field) || (!stored(ColumnKind::Tag) && written_as_field());
        (!rules.tag_and_field_may_share_a_name && taken_by_field).then(|| Rejection::ColumnKind {
            table: points.name.clone(),
            column: key.to_string(),
            stored: ColumnKind::Field,
        })
    };
    let refusals: Vec<Option<Rejection>> = points.tag_keys.iter().map(|key| refusal(key)).collect();
    if refusals.iter().all(Option::is_none) {
        return;
    }
    for (row, &series) in points.row_series.iter().enumerate() {
        let refused = tags_of(points.series.key(series as usize)).find_map(|(tag, _)| refusals[tag as usize].as_ref());
        if let Some(why) = refused {
            verdict.reject(row, || why.clone());
        }
    }
}

/// The type that stands for each of the fields: the stored one, else that of the first row that has a field of the name. `None`
/// for fields that no row has.
fn field_types(points: &TablePoints, schema: Option<&TableSchema>) -> Vec<Option<FieldType>> {
    let mut first: AHashMap<&str, (usize, FieldType)> = AHashMap::new();
    if points.has_twins() {
        for field in &points.fields {
            let Some(row) = field.first_row() else { continue };
            let found = (row, field.field_type());
            first.entry(&field.name).and_modify(|best| *best = (*best).min(found)).or_insert(found);
        }
    }
    let written = |field: &FieldColumn| first.get(field.name.as_str()).map_or(field.field_type(), |(_, first)| *first);
    let stored = |name: &str| schema.and_then(|s| s.find(name, ColumnKind::Field)).and_then(|c| c.field_type);
    let stands = |field: &FieldColumn| stored(&field.name).unwrap_or_else(|| written(field));
    points
        .fields
        .iter()
        .map(|field| (field.first_row().is_some() || first.contains_key(field.name.as_str())).then(|| stands(field)))
        .collect()
}

fn check_fields(
    points: &TablePoints,
    schema: Option<&TableSchema>,
    rules: &Rules,
    types: &[Option<FieldType>],
    verdict: &mut Verdict,
) {
    for (field, stands) in points.fields.iter().zip(types) {
        let Some(stored) = *stands else { continue };
        if field.name == TIME_COLUMN {
            reject_lone_time(points, verdict);
        } else if stored != field.field_type() {
            for row in (0..points.rows()).filter(|row| field.has(*row)) {
                verdict.reject(row, || Rejection::FieldType {
                    table: points.name.clone(),
                    field: field.name.clone(),
                    stored,
                    got: field.field_type(),
                });
            }
        }
        let is_tag = !rules.tag_and_field_may_share_a_name
            && schema.is_some_and(|s| s.find(&field.name, ColumnKind::Tag).is_some());
        if is_tag {
            for row in (0..points.rows()).filter(|row| field.has(*row)) {
                verdict.reject(row, || Rejection::ColumnKind {
                    table: points.name.clone(),
                    column: field.name.clone(),
                    stored: ColumnKind::Tag,
                });
            }
        }
    }
}

/// A field called `time` beside others is left out; alone it makes the point invalid.
fn reject_lone_time(points: &TablePoints, verdict: &mut Verdict) {
    for row in 0..points.rows() {
        if points.fields.iter().all(|f| f.name == TIME_COLUMN || !f.has(row)) {
            verdict.reject(row, || Rejection::FieldNamedTime { table: points.name.clone() });
        }
    }
}

/// The tags of taken rows that `schema` lacks.
fn used_tags(points: &TablePoints, schema: Option<&TableSchema>, taken: Option<&[bool]>) -> Vec<String> {
    if points.tag_keys.iter().all(|key| !lacks(schema, key, ColumnKind::Tag)) {
        return Vec::new();
    }
    let mut used = vec![false; points.tag_keys.len()];
    let mut seen = vec![false; points.series.len()];
    for (row, &series) in points.row_series.iter().enumerate() {
        let counts = taken.is_none_or(|taken| taken[row]);
        if counts && !std::mem::replace(&mut seen[series as usize], true) {
            tags_of(points.series.key(series as usize)).for_each(|(tag, _)| used[tag as usize] = true);
        }
    }
    let used = points.tag_keys.iter().zip(used).filter(|(_, used)| *used).map(|(key, _)| key);
    used.filter(|key| lacks(schema, key, ColumnKind::Tag)).cloned().collect()
}

/// The taken rows as a batch of table `id`, whose `schema` has every needed column. Times are cut to `precision`.
/// `None` when no row is left.
pub fn build(
    points: TablePoints,
    checked: &Checked,
    id: TableId,
    schema: &TableSchema,
    precision: Precision,
) -> Result<Option<TableBatch>, ArrowError> {
    let rows = points.rows();
    if checked.rejected.points >= rows {
        return Ok(None);
    }
    let (series, row_series) = canonical_series(&points, checked, schema);
    let keep = |row: usize| checked.taken.as_ref().is_none_or(|taken| taken[row]);
    let times = match precision {
        Precision::Ns if checked.taken.is_none() => points.times,
        _ => (0..rows).filter(|row| keep(*row)).map(|row| precision.floor(points.times[row])).collect(),
    };
    let mask = checked.taken.as_ref().map(|taken| BooleanArray::from(taken.clone()));
    let mut fields = Vec::with_capacity(checked.fields.len());
    for (index, field) in points.fields.into_iter().enumerate() {
        if checked.fields.contains(&index) {
            let Some(column) = schema.find(&field.name, ColumnKind::Field) else { continue };
            let array = field.into_array(rows);
            let array = match &mask {
                Some(mask) => filter(&array, mask)?,
                None => array,
            };
            fields.push((column.id, array));
        }
    }
    Ok(Some(TableBatch { table: id, series, row_series, times, fields }))
}

/// Series of the taken rows, with column ids for tag numbers, ascending.
fn canonical_series(points: &TablePoints, checked: &Checked, schema: &TableSchema) -> (SeriesKeys, Vec<u32>) {
    let ids: Vec<u32> = points
        .tag_keys
        .iter()
        .map(|key| schema.find(key, ColumnKind::Tag).map_or(u32::MAX, |column| column.id.0))
        .collect();
    let mut series = SeriesKeys::default();
    let mut numbers: Vec<Option<u32>> = vec![None; points.series.len()];
    let mut row_series = Vec::with_capacity(checked.rows(points));
    let mut tags: Vec<(u32, &str)> = Vec::new();
    for (row, &written) in points.row_series.iter().enumerate() {
        if checked.taken.as_ref().is_some_and(|taken| !taken[row]) {
            continue;
        }
        let number = *numbers[written as usize].get_or_insert_with(|| {
            tags.clear();
            tags.extend(tags_of(points.series.key(written as usize)).map(|(tag, value)| (ids[tag as usize], value)));
            tags.sort_unstable_by_key(|(id, _)| *id);
            series.push(tags.iter().copied())
        });
        row_series.push(number);
    }
    (series, row_series)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Float64Type;

    use super::*;
    use crate::model::{Points, RowIdentity};

    const LENIENT: Rules =
        Rules { bad_points: BadPoints::Drop, tag_and_field_may_share_a_name: true, tag_may_be_called_time: false };
    const STRICT: Rules = Rules {
        bad_points: BadPoints::RefuseAll,
        tag_and_field_may_share_a_name: false,
        tag_may_be_called_time: false,
    };

    enum Value {
        F(f64),
        S(&'static str),
    }
    use Value::{F, S};

    type Row = (&'static [(&'static str, &'static str)], i64, &'static [(&'static str, Value)]);

    fn points(rows: &[Row]) -> TablePoints {
        let mut all = Points::default();
        let index = all.table_index("t");
        let t = all.table_mut(index);
        for (tags, time, fields) in rows {
            let tags: Vec<(u32, &str)> = tags.iter().map(|(k, v)| (t.tag_key_index(k), *v)).collect();
            let series = t.series.push(tags);
            t.begin_row(series, *time);
            for (name, value) in *fields {
                match value {
                    F(v) => {
                        let f = t.field_index(name, FieldType::Float);
                        t.set_float(f, *v);
                    }
                    S(v) => {
                        let f = t.field_index(name, FieldType::String);
                        t.set_string(f, v);
                    }
                }
            }
        }
        all.into_tables().next().unwrap()
    }

    fn schema(columns: &[(&str, ColumnKind, Option<FieldType>)]) -> TableSchema {
        let mut schema = TableSchema::new(RowIdentity::Series);
        for (name, kind, field_type) in columns {
            schema.add(name, *kind, *field_type);
        }
        schema
    }

    #[test]
    fn the_first_row_decides_the_type_of_a_new_field_and_the_whole_point_is_dropped() {
        let points = points(&[
            (&[], 1, &[("f", F(1.0))]),
            (&[], 2, &[("f", S("x")), ("g", F(1.0))]),
            (&[], 3, &[("f", F(3.0))]),
        ]);
        let checked = check(&points, None, &LENIENT, None);
        assert_eq!(checked.rejected.points, 1);
        let expected = Rejection::FieldType {
            table: "t".into(),
            field: "f".into(),
            stored: FieldType::Float,
            got: FieldType::String,
        };
        assert_eq!(checked.rejected.first, Some(expected));
        assert_eq!(checked.needed.fields, [("f".to_string(), FieldType::Float)], "g only stood in the dropped point");
        let mut s = TableSchema::new(RowIdentity::Series);
        checked.needed.add_to(&mut s);
        let batch = build(points, &checked, TableId(1), &s, Precision::Ns).unwrap().unwrap();
        assert_eq!(batch.times, [1, 3]);
        assert_eq!(batch.fields[0].1.as_primitive::<Float64Type>().values(), &[1.0, 3.0]);
    }

    #[test]
    fn the_stored_type_beats_the_first_row() {
        let s = schema(&[("f", ColumnKind::Field, Some(FieldType::String))]);
        let checked =
            check(&points(&[(&[], 1, &[("f", F(1.0))]), (&[], 2, &[("f", S("x"))])]), Some(&s), &LENIENT, None);
        assert_eq!((checked.rejected.points, checked.taken.clone()), (1, Some(vec![false, true])));
        assert!(checked.needed.is_met_by(&s));
    }

    #[test]
    fn time_is_no_name_for_a_tag_or_an_only_field() {
        let points = points(&[
            (&[("time", "x")], 1, &[("f", F(1.0))]),
            (&[], 2, &[("time", F(1.0))]),
            (&[], 3, &[("time", F(1.0)), ("f", F(1.0))]),
        ]);
        let checked = check(&points, None, &LENIENT, None);
        assert_eq!(checked.taken, Some(vec![false, false, true]));
        assert_eq!(checked.rejected.first, Some(Rejection::TagNamedTime { table: "t".into() }));
        assert_eq!(checked.needed.tags, Vec::<String>::new());
        assert_eq!(checked.needed.fields, [("f".to_string(), FieldType::Float)]);
    }

    #[test]
    fn a_door_may_let_a_tag_be_called_time() {
        let points = points(&[(&[("time", "x")], 1, &[("f", F(1.0))]), (&[("time", "y")], 1, &[("f", F(2.0))])]);
        let rules = Rules { tag_may_be_called_time: true, ..LENIENT };
        let checked = check(&points, None, &rules, None);
        assert_eq!((checked.rejected.points, &checked.needed.tags), (0, &vec!["time".to_string()]));
        let mut s = TableSchema::new(RowIdentity::Series);
        checked.needed.add_to(&mut s);
        let tag = s.find("time", ColumnKind::Tag).unwrap();
        assert_eq!((tag.sql_name.as_str(), tag.stored_name.as_str()), ("time_1", "time_1"));
        let batch = build(points, &checked, TableId(1), &s, Precision::Ns).unwrap().unwrap();
        assert_eq!((batch.times.len(), batch.row_series), (2, vec![0, 1]));
    }

    #[test]
    fn a_strict_door_keeps_tags_and_fields_apart() {
        let s = schema(&[("a", ColumnKind::Tag, None), ("b", ColumnKind::Field, Some(FieldType::Float))]);
        let rows: [Row; 3] =
            [(&[], 1, &[("a", F(1.0))]), (&[("b", "x")], 2, &[("c", F(1.0))]), (&[("a", "x")], 3, &[("b", F(1.0))])];
        assert_eq!(check(&points(&rows), Some(&s), &STRICT, None).taken, Some(vec![false, false, true]));
        assert_eq!(check(&points(&rows), Some(&s), &LENIENT, None).taken, None);
    }

    #[test]
    fn points_older_than_the_policy_are_counted() {
        let checked =
            check(&points(&[(&[], 1, &[("f", F(1.0))]), (&[], 9, &[("f", F(1.0))])]), None, &LENIENT, Some(5));
        assert_eq!(checked.rejected.first, Some(Rejection::BeyondRetention { time_ns: 1, oldest_ns: 5 }));
        assert_eq!(checked.rejected.points, 1);
    }

    #[test]
    fn two_orders_of_the_same_tags_are_one_key() {
        let points = points(&[
            (&[("a", "1"), ("b", "2")], 1, &[("f", F(1.0))]),
            (&[("b", "2"), ("a", "1")], 2, &[("f", F(1.0))]),
        ]);
        let checked = check(&points, None, &LENIENT, None);
        let mut s = TableSchema::new(RowIdentity::Series);
        checked.needed.add_to(&mut s);
        let batch = build(points, &checked, TableId(1), &s, Precision::Ns).unwrap().unwrap();
        assert_eq!(batch.series.key(0), batch.series.key(1));
    }

    #[test]
    fn times_are_cut_to_the_precision_of_the_database() {
        let points = points(&[(&[], 1_999_999, &[("f", F(1.0))])]);
        let checked = check(&points, None, &LENIENT, None);
        let mut s = TableSchema::new(RowIdentity::Series);
        checked.needed.add_to(&mut s);
        assert_eq!(build(points, &checked, TableId(1), &s, Precision::Ms).unwrap().unwrap().times, [1_000_000]);
    }
}
