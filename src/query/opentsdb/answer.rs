//! What a request answers: group after group, their points as arrays.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, AsArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, UInt32Array,
};
use datafusion::arrow::datatypes::{Float64Type, Int64Type, UInt32Type};

use super::groups::columns;

/// A series' tags, by key.
pub type TagSet = Vec<(Arc<str>, Arc<str>)>;

/// What all points of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupHead {
    /// The sub query's place in the request.
    pub query: usize,
    /// As the sub query named it.
    pub metric: Arc<str>,
    /// Tags with one value among the series that have them.
    pub tags: TagSet,
    /// Keys of tags with several.
    pub aggregated: Vec<Arc<str>>,
    /// The series of the group.
    pub members: Vec<TagSet>,
}

impl GroupHead {
    /// `keys` are those of `members`, each of which has a value or none for every key.
    fn new(query: usize, metric: Arc<str>, keys: &[Arc<str>], members: &[Vec<Option<&str>>]) -> GroupHead {
        let mut values: BTreeMap<usize, (&str, bool)> = BTreeMap::new();
        for (key, value) in members.iter().flat_map(|member| member.iter().enumerate()) {
            let Some(value) = *value else { continue };
            let known = values.entry(key).or_insert((value, true));
            known.1 &= known.0 == value;
        }
        let single = values.iter().filter(|(_, (_, single))| *single);
        let several = values.iter().filter(|(_, (_, single))| !*single);
        let set_of = |member: &Vec<Option<&str>>| {
            keys.iter().zip(member).filter_map(|(key, value)| Some((key.clone(), Arc::from((*value)?)))).collect()
        };
        GroupHead {
            query,
            metric,
            tags: single.map(|(&key, (value, _))| (keys[key].clone(), Arc::from(*value))).collect(),
            aggregated: several.map(|(&key, _)| keys[key].clone()).collect(),
            members: members.iter().map(set_of).collect(),
        }
    }
}

/// A value of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    Integer(i64),
    /// May be NaN, never infinite.
    Float(f64),
}

impl Value {
    pub fn as_float(self) -> f64 {
        match self {
            Value::Integer(value) => value as f64,
            Value::Float(value) => value,
        }
    }
}

/// Points of one group in order of time.
#[derive(Debug, Clone)]
pub struct Points {
    times: Int64Array,
    floats: Float64Array,
    integers: Int64Array,
}

impl Points {
    pub fn len(&self) -> usize {
        self.times.len()
    }

    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Milliseconds since 1970, and the value.
    pub fn iter(&self) -> impl Iterator<Item = (i64, Value)> + '_ {
        (0..self.len()).map(|at| {
            let value = match self.integers.is_valid(at) {
                true => Value::Integer(self.integers.value(at)),
                false => Value::Float(self.floats.value(at)),
            };
            (self.times.value(at), value)
        })
    }
}

/// A stretch of a group.
#[derive(Debug, Clone)]
pub struct GroupPiece {
    /// `None`: it goes on with the group of the piece before.
    pub head: Option<GroupHead>,
    pub points: Points,
}

/// A row of the operator.
#[derive(Debug)]
pub(super) enum Row {
    /// Values of the sub query's filters that no series read has.
    Unseen {
        query: usize,
        values: Vec<String>,
    },
    Piece(Box<GroupPiece>),
}

/// What heads are made with: a metric's name and the keys of its series' tags.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub metric: Arc<str>,
    pub keys: Vec<Arc<str>>,
}

/// The rows of one of the operator's batches; `named` is by sub query.
pub(super) fn rows_of(batch: &RecordBatch, named: &[Named]) -> Vec<Row> {
    let queries: &UInt32Array = batch.column(columns::QUERY).as_primitive::<UInt32Type>();
    let column = |at: usize| -> &ListArray { batch.column(at).as_list::<i32>() };
    let (members, unseen) = (column(columns::MEMBERS), column(columns::UNSEEN));
    let (times, floats, integers) = (column(columns::TIMES), column(columns::FLOATS), column(columns::INTEGERS));
    let row = |at: usize| {
        let query = queries.value(at) as usize;
        if unseen.is_valid(at) {
            let values = unseen.value(at);
            let values: &StringArray = values.as_string::<i32>();
            return Row::Unseen { query, values: values.iter().flatten().map(str::to_string).collect() };
        }
        let head = members.is_valid(at).then(|| {
            let lists = members.value(at);
            let lists: &ListArray = lists.as_list::<i32>();
            let values: &StringArray = lists.values().as_string::<i32>();
            let offsets = lists.offsets();
            let member = |i: usize| {
                let range = offsets[i] as usize..offsets[i + 1] as usize;
                range.map(|at| values.is_valid(at).then(|| values.value(at))).collect::<Vec<_>>()
            };
            let members: Vec<Vec<Option<&str>>> = (0..lists.len()).map(member).collect();
            GroupHead::new(query, named[query].metric.clone(), &named[query].keys, &members)
        });
        let points = Points {
            times: times.value(at).as_primitive::<Int64Type>().clone(),
            floats: floats.value(at).as_primitive::<Float64Type>().clone(),
            integers: integers.value(at).as_primitive::<Int64Type>().clone(),
        };
        Row::Piece(Box::new(GroupPiece { head, points }))
    };
    (0..batch.num_rows()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_with_one_value_stay_even_where_series_lack_them() {
        let keys: Vec<Arc<str>> = ["dc", "host", "type"].map(Arc::from).to_vec();
        let members = [vec![Some("lga"), Some("web01"), None], vec![Some("lga"), Some("web02"), Some("user")]];
        let head = GroupHead::new(0, "m".into(), &keys, &members);
        let pair = |key: &str, value: &str| (Arc::from(key), Arc::from(value));
        assert_eq!(head.tags, [pair("dc", "lga"), pair("type", "user")]);
        assert_eq!(head.aggregated, [Arc::from("host")]);
        assert_eq!(head.members[0], [pair("dc", "lga"), pair("host", "web01")]);
    }
}
