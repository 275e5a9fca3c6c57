use super::*;
use crate::query::opentsdb::aggregator::Aggregator;
use crate::query::opentsdb::groups::column::rates;
use crate::query::opentsdb::request::RateOptions;

fn integers(points: &[(i64, i64)]) -> Column {
    let mut column = Column::default();
    points.iter().for_each(|&(s, value)| column.push(s * 1000, Number::Integer(value)));
    column
}

fn floats(points: &[(i64, f64)]) -> Column {
    let mut column = Column::default();
    points.iter().for_each(|&(s, value)| column.push_float(s * 1000, value));
    column
}

fn combined(name: &str, columns: &[Column], is_rate: bool) -> Vec<(i64, Number)> {
    let aggregator = Aggregator::named(name).expect("an aggregator");
    let function = aggregator.function.expect("a function");
    let mut combination = Combination::new(columns.to_vec(), function, aggregator.missing, is_rate);
    let mut found = Vec::new();
    while let Some((time, value)) = combination.step(i64::MIN) {
        found.push((time / 1000, value.expect("a value")));
    }
    found
}

#[test]
fn integers_are_interpolated_and_cut_off() {
    let a: Vec<(i64, i64)> = (0..).step_by(10).zip([5, 1, 9, 4, 7, 3]).collect();
    let c: Vec<(i64, i64)> = (5..).step_by(10).zip([3, 6, 9, 12, 15, 18]).collect();
    let columns = [integers(&a), integers(&c)];
    let check = |name: &str, expected: [i64; 12]| {
        let found = combined(name, &columns, false);
        let expected: Vec<_> = (0..).step_by(5).zip(expected.map(Number::Integer)).collect();
        assert_eq!(found, expected, "{name}");
    };
    check("sum", [5, 6, 5, 11, 16, 16, 14, 17, 20, 20, 19, 18]);
    check("avg", [5, 3, 2, 5, 8, 8, 7, 8, 10, 10, 9, 18]);
    check("min", [5, 3, 1, 5, 7, 7, 4, 5, 7, 5, 3, 18]);
    check("max", [5, 3, 4, 6, 9, 9, 10, 12, 13, 15, 16, 18]);
    check("dev", [0, 0, 1, 0, 1, 1, 3, 3, 3, 5, 6, 0]);
    check("diff", [0, 0, 3, 1, -2, 2, 6, 7, 6, 10, 13, 0]);
    check("count", [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]);
    for name in ["zimsum", "mimmin", "mimmax"] {
        check(name, [5, 3, 1, 6, 9, 9, 4, 12, 7, 15, 3, 18]);
    }
    check("pfsum", [5, 8, 4, 7, 15, 18, 13, 16, 19, 22, 18, 18]);
    check("first", [5, 0, 1, 0, 9, 0, 4, 0, 7, 0, 3, 18]);
}

#[test]
fn a_gap_is_bridged() {
    let columns = [integers(&[(0, 10), (10, 20), (20, 30), (30, 40), (40, 50)]), integers(&[(10, 1), (40, 4)])];
    let check = |name: &str, expected: [i64; 5]| {
        let found: Vec<_> = combined(name, &columns, false).into_iter().map(|(_, value)| value).collect();
        assert_eq!(found, expected.map(Number::Integer), "{name}");
    };
    check("sum", [10, 21, 32, 43, 54]);
    check("pfsum", [10, 21, 31, 41, 54]);
    check("count", [1, 2, 2, 2, 2]);
}

#[test]
fn one_float_makes_an_instant_float() {
    let columns = [integers(&[(0, 1), (10, 2), (30, 3)]), floats(&[(10, 0.5)])];
    let found = combined("sum", &columns, false);
    // The float is next from the first instant on, and gone after its own.
    assert_eq!(found, [(0, Number::Float(1.0)), (10, Number::Float(2.5)), (30, Number::Integer(3))]);
}

#[test]
fn a_series_without_a_new_rate_keeps_its_last() {
    let points = |first: i64, values: [i64; 5]| integers(&(first..).step_by(20).zip(values).collect::<Vec<_>>());
    let start = 1_356_998_400;
    let columns = [points(start, [0, 10, 20, 30, 40]), points(start + 10, [0, 4, 16, 36, 64])];
    let columns = columns.map(|column| rates(&column, &RateOptions::default()));
    let check = |name: &str, expected: &[(i64, f64)]| {
        let found = combined(name, &columns, true);
        for (at, value) in expected {
            let Some((_, Number::Float(found))) = found.iter().find(|(time, _)| *time == start + at) else {
                panic!("{name}: nothing at {at}");
            };
            assert!((found - value).abs() < 1e-6, "{name} at {at}: {found}");
        }
        assert_eq!(found[0].0, start + 20, "{name}: the first rates are not shown");
    };
    check("sum", &[(20, 0.5), (30, 0.7), (40, 0.7), (50, 1.1)]);
    check("avg", &[(20, 0.25), (90, 1.4)]);
}
