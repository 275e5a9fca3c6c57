//! Bounded functions beside the engine's own: the same answers, and no large ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int64Array, ListArray, ListBuilder, RecordBatch, StringArray,
    StringBuilder, TimestampNanosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int32Type};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF};
use datafusion::prelude::{SessionConfig, SessionContext};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::bounded::{Bounded, CALL_BYTES_MAX};
use super::growth::{GROWING, Growth};
use super::values::ValueMemory;
use super::{rows_beside_constants, sizes};
use crate::model::{Classify, Kind};
use crate::query::QueryError;

const MIB: usize = 1024 * 1024;

/// The engine as it comes.
fn engine() -> SessionContext {
    SessionContext::new()
}

/// The engine with bounds, and a query's memory.
fn bounded_engine(memory: &ValueMemory) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().extensions.insert(memory.clone());
    let mut state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    super::bound(&mut state).unwrap();
    SessionContext::new_with_state(state)
}

/// Table `t` in batches: `s` and `u` texts, `d` the texts of a dictionary, `n` integers, `l` lists of texts, `f` lists
/// of floats, `at` times.
fn with_table(context: SessionContext, batches: Vec<RecordBatch>) -> SessionContext {
    let table = MemTable::try_new(batches[0].schema(), vec![batches]).unwrap();
    context.register_table("t", Arc::new(table)).unwrap();
    context
}

fn batch(texts: &[Option<&str>], text_type: &DataType) -> RecordBatch {
    let other: Vec<Option<&str>> = texts.iter().rev().copied().collect();
    let list = |i: usize| (i % 4 != 3).then(|| texts[..i % 4].to_vec());
    let mut lists = ListBuilder::new(StringBuilder::new());
    (0..texts.len()).for_each(|i| match list(i) {
        Some(list) => lists.append_value(list),
        None => lists.append_null(),
    });
    let floats = (0..texts.len())
        .map(|i| Some([Some(1e300), None, Some(i as f64 * 0.1), Some(-1e-300)].into_iter().take(i % 5)));
    let lists: ArrayRef = Arc::new(lists.finish());
    let columns: [(&str, ArrayRef); 7] = [
        ("s", cast(&StringArray::from(texts.to_vec()), text_type).unwrap()),
        ("u", cast(&StringArray::from(other.clone()), text_type).unwrap()),
        ("d", Arc::new(other.into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("n", Arc::new((0..texts.len()).map(|i| (i % 5 != 4).then_some(i as i64 % 7 - 2)).collect::<Int64Array>())),
        ("l", cast(&lists, &DataType::new_list(text_type.clone(), true)).unwrap()),
        ("f", Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(floats))),
        (
            "at",
            Arc::new(
                (0..texts.len()).map(|i| Some(i as i64 * 86_400_000_000_000)).collect::<TimestampNanosecondArray>(),
            ),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

const TEXTS: [Option<&str>; 9] =
    [Some("a,b,,c"), None, Some(""), Some("ab"), Some("日本,語"), Some("xyxyx"), Some(","), Some("ß"), Some("a.b.a.b")];

async fn answer(context: &SessionContext, expression: &str) -> Result<String, DataFusionError> {
    let rows = context.sql(&format!("select {expression} as x from t")).await?.collect().await?;
    Ok(pretty_format_batches(&rows).unwrap().to_string())
}

#[tokio::test]
async fn answers_are_those_of_the_engine() {
    for text_type in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
        let memory = ValueMemory::new(MIB);
        let bounded = with_table(bounded_engine(&memory), vec![batch(&TEXTS, &text_type)]);
        let engine = with_table(engine(), vec![batch(&TEXTS, &text_type)]);
        for expression in [
            "repeat(s, 3)",
            "repeat('ab', n)",
            "repeat(s, n)",
            "repeat('ab', 3)",
            "repeat(null, 3)",
            "repeat(s, -1)",
            "repeat(d, 2)",
            "lpad(s, 5)",
            "lpad(s, n + 2, u)",
            "lpad(s, 4, '日')",
            "rpad('x', n + 2, u)",
            "rpad(s, -1, 'y')",
            "lpad('x', 5, 'ab')",
            "rpad(d, 6, 'ab')",
            "lpad(s, null)",
            "replace(s, 'a', 'xyz')",
            "replace(s, u, d)",
            "replace(s, '', 'x')",
            "replace('aXbX', 'X', '--')",
            "replace(s, null, 'x')",
            "replace(d, ',', ';;')",
            "regexp_replace(s, '[ab]', '<$0>', 'g')",
            "regexp_replace(s, '(a)(.)', '\\2\\1')",
            "regexp_replace(s, '.', u, 'g')",
            "regexp_replace('aa', 'a', 'b')",
            "regexp_match(s, '(a)(.)')",
            "regexp_match(d, 'b')",
            "translate(s, 'ab', '日本')",
            "overlay(s placing u from 2)",
            "overlay(s placing 'xx' from 1 for 0)",
            "concat(s, '-', 'x', u, n, d)",
            "concat('a', 'b')",
            "concat(null, s)",
            "concat_ws('-', s, 'a', 'b', u)",
            "concat_ws(u, s, d)",
            "concat_ws(null, s)",
            "s || u",
            "s || '-' || n || d",
            "'a' || 'b'",
            "s || null",
            "to_char(at, '%c')",
            "to_char(at, s)",
            "array_to_string(l, '--')",
            "array_to_string(l, u, 'NULL')",
            "array_to_string(f, ', ', '-')",
            "array_to_string([[1, 2], [3, null]], ',')",
            "string_to_array(s, ',')",
            "string_to_array(s, null)",
            "string_to_array(s, u, 'a')",
            "string_to_array(d, '')",
            "string_to_array('a,b', ',')",
            "make_array(s, u)",
            "[s, 'a', d]",
            "[]",
            "make_array()",
            "[1, 2]",
            "array_append(l, s)",
            "array_prepend(s, l)",
            "array_concat(l, l, l)",
            "l || l",
            "l || s",
            "[1] || [2, 3]",
            "array_replace_all(l, 'a,b,,c', u)",
            "array_replace_n(l, '', 'x', 1)",
            "array_replace(l, null, 'x')",
            "array_union(l, make_array(s))",
            "arrays_zip(l, f)",
            "array_positions(l, '')",
            "map(['a'], [n])",
            "list_to_string(l, '-')",
            "arrow_cast(n, 'Utf8')",
            "case when n > 0 then repeat(s, 2) else u || 'x' end",
            "repeat(s, u)",
            "lpad(s, 'x')",
            "concat()",
            "regexp_replace(s, '(', 'x')",
            "1 || [2]",
            "array_append(1, 2)",
        ] {
            let (seen, expected) = (answer(&bounded, expression).await, answer(&engine, expression).await);
            match (seen, expected) {
                (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{expression} of {text_type}"),
                (Err(_), Err(_)) => {}
                (seen, expected) => panic!("{expression} of {text_type}: {seen:?}, not {expected:?}"),
            }
        }
    }
}

#[tokio::test]
async fn widths_below_zero_are_zero() {
    let memory = ValueMemory::new(MIB);
    let context = with_table(bounded_engine(&memory), vec![batch(&[Some("ab"), None, Some("c")], &DataType::Utf8)]);
    for expression in ["lpad(s, n)", "rpad(s, n - 9223372036854775800, u)", "lpad(s, -5)", "rpad('x', -1, u)"] {
        let expression = format!("concat_ws(';', min({expression}), max({expression}))");
        let seen = answer(&context, &expression).await.unwrap();
        assert!(seen.contains("| ;  |") || seen.contains("| ; |"), "{expression}: {seen}");
    }
}

/// Refused before anything of that size was made: most of these would not fit into any memory.
async fn check_too_much(text_type: &DataType, expressions: &[&str]) {
    for expression in expressions {
        let memory = ValueMemory::new(1024 * MIB);
        let rows = vec![batch(&[Some("x"), None, Some("x,x")], text_type)];
        let error = answer(&with_table(bounded_engine(&memory), rows), expression).await.expect_err(expression);
        let error = QueryError::from(error);
        assert!(error.to_string().contains(" are allowed"), "{expression} of {text_type}: {error}");
        assert_eq!(error.kind(), Kind::Invalid, "{expression}: {error}");
    }
}

#[tokio::test]
async fn too_much_is_refused_for_rows_and_for_constants() {
    for text_type in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
        let expressions = [
            "repeat(s, 300000000)",
            "repeat(d, 300000000)",
            "repeat('x', 300000000)",
            "repeat('x', n + 300000000)",
            "repeat(s, 9223372036854775807)",
            "repeat(s, case when s = 'x' then 1 else 9223372036854775807 end)",
            "lpad(s, 300000000, 'y')",
            "lpad('x', 300000000)",
            "rpad(s, n + 300000000, 'y')",
            "rpad(s, 60000000, '日')",
            "replace(repeat(s, 10000), 'x', repeat('y', 300000))",
            "replace(repeat('x', 10000), 'x', repeat('y', 300000))",
            "replace(s, s, repeat('y', 300000000))",
            "regexp_replace(repeat('x', 10000), 'x', repeat('y', 300000), 'g')",
            "regexp_replace(repeat(s, 10000), '.*', repeat('$0', 100000))",
            "regexp_match(repeat(s, 100000), repeat('(', 1000) || '.*' || repeat(')', 1000))",
            "repeat('x', 2000000)",
            "to_char(at, repeat('%c', 3000000))",
            "array_to_string(string_to_array(repeat('x,', 10000), ','), repeat('y', 10000))",
            "array_to_string(string_to_array(repeat(s || ',', 10000), ','), repeat('y', 10000))",
            "string_to_array(repeat(',', 6000000), ',')",
            "array_replace_all(string_to_array(repeat('x,', 10000), ','), 'x', repeat('y', 10000))",
        ];
        check_too_much(&text_type, &expressions).await;
    }
}

#[tokio::test]
async fn too_much_is_refused_that_is_the_sum_of_a_little_less() {
    let expressions = [
        "concat(W, W)",
        "concat(C, C)",
        "concat_ws(W, s, s, s)",
        "W || W",
        "C || C",
        "overlay(W placing W from 1 for 0)",
        "array_to_string([W, W], ',')",
        "array_concat([W], [W])",
        "[W] || [W]",
        "array_append([W], W)",
        "encode(W, 'hex')",
        "translate(W, 'x', '日')",
        "translate(C, 'x', '日')",
    ];
    let expressions = expressions
        .map(|expression| expression.replace('W', "repeat(s, 34000000)").replace('C', "repeat('x', 600000)"));
    check_too_much(&DataType::Utf8, &expressions.each_ref().map(String::as_str)).await;
}

#[tokio::test]
async fn a_function_in_a_plan_is_bounded_whoever_put_it_there() {
    let memory = ValueMemory::new(MIB);
    let context = with_table(bounded_engine(&memory), vec![batch(&TEXTS, &DataType::Utf8)]);
    for query in [
        "select s || u, [s, u], l || l, l || s, s || l, {'a': s || u} from t",
        "select concat(s, 'a', 'b', u), concat_ws('-', 'a', 'b', s, u), arrow_cast(s || u, 'LargeUtf8') from t",
        "select s from t where s || u = 'x' and exists (select 1 from t a where a.s = t.u || t.s)",
        "select s || 'x', max(u || s) from t group by s || 'x' having max([s, s]) is not null order by s || 'x'",
        "with a as (select s || s as b from t) select a.b || b.b from a join a b on a.b || 'x' = b.b",
        "select lag(s || u) over (partition by [s] order by u || s) from t",
    ] {
        let plan = context.sql(query).await.unwrap().into_optimized_plan().unwrap();
        let mut found = 0;
        let mut check = |expr: &Expr| {
            match expr {
                Expr::ScalarFunction(call) if Growth::of(call.func.name()).is_some() => {
                    assert!(call.func.inner().is::<Bounded>(), "{query}: {}", call.func.name());
                    found += 1;
                }
                Expr::BinaryExpr(binary) => assert_ne!(binary.op.to_string(), "||", "{query}"),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        };
        let mut look = |node: &LogicalPlan| node.apply_expressions(|expr| expr.apply(&mut check));
        plan.apply_with_subqueries(&mut look).unwrap();
        assert!(found > 0, "{query}");
        context.sql(query).await.unwrap().collect().await.unwrap();
    }
}

#[test]
fn every_function_of_the_engine_is_known_to_grow_or_not_to() {
    let memory = ValueMemory::new(MIB);
    let state = bounded_engine(&memory).state();
    let names: BTreeSet<String> =
        state.scalar_functions().values().map(|function| function.name().to_string()).collect();
    let known: BTreeSet<String> =
        HARMLESS.split_whitespace().chain(GROWING.iter().map(|(name, _)| *name)).map(String::from).collect();
    let unknown: Vec<&String> = names.difference(&known).collect();
    assert!(unknown.is_empty(), "decide for each how much it may make: {unknown:?}");
    let gone: Vec<&String> = known.difference(&names).collect();
    assert!(gone.is_empty(), "the engine has no longer: {gone:?}");
    for function in state.scalar_functions().values() {
        assert_eq!(function.inner().is::<Bounded>(), Growth::of(function.name()).is_some(), "{}", function.name());
    }
    assert!(state.table_functions().is_empty() && state.higher_order_functions().is_empty());
}

/// Numbers, times, flags, parts of what they are given, or at most a few bytes for each byte of it.
const HARMLESS: &str = "
    abs acos acosh array_add array_any_value array_avg array_compact array_dims array_distance array_distinct
    array_element array_except array_has array_has_all array_has_any array_intersect array_length array_max
    array_min array_ndims array_normalize array_pop_back array_pop_front array_position array_product
    array_remove array_remove_all array_remove_n array_reverse array_scale array_slice array_sort array_subtract
    array_sum arrow_field arrow_metadata arrow_typeof ascii asin asinh atan atan2 atanh bit_length btrim
    cardinality cast_to_type cbrt ceil character_length chr coalesce contains cos cosh cosine_distance cot
    current_date current_time date_bin date_part date_trunc decode degrees empty ends_with exp factorial
    file_row_index find_in_set flatten floor from_unixtime gcd get_field greatest initcap inner_product
    input_file_name isnan iszero lcm least left levenshtein ln log log10 log2 lower ltrim make_date make_time
    map_entries map_extract map_keys map_values matches named_struct nanvl now nullif nvl nvl2 octet_length pi power
    radians random regexp_count regexp_instr regexp_like reverse right round rtrim signum sin sinh split_part
    sqrt starts_with strpos struct substr substr_index tag_text tan tanh to_date to_hex to_local_time to_time
    to_timestamp to_timestamp_micros to_timestamp_millis to_timestamp_nanos to_timestamp_seconds to_unixtime
    trunc try_cast_to_type union_extract union_tag upper uuid version window_start with_metadata wrapping_abs
    point_values
";

#[tokio::test]
async fn types_of_any_width_are_refused() {
    let memory = ValueMemory::new(MIB);
    let context = with_table(bounded_engine(&memory), vec![batch(&TEXTS, &DataType::Utf8)]);
    for expression in [
        "arrow_cast(null, 'FixedSizeBinary(1000000000)')",
        "arrow_try_cast(s, 'FixedSizeBinary(1000000000)')",
        "arrow_cast(l, 'FixedSizeList(1000000000, Utf8)')",
        "arrow_cast(null, 'FixedSizeList(100000, FixedSizeList(100000, Int64))')",
        "cast(null as bigint[1000000000])",
    ] {
        let error = QueryError::from(answer(&context, expression).await.expect_err(expression));
        assert!(error.to_string().contains("takes more than"), "{expression}: {error}");
    }
    for expression in
        ["arrow_cast([1, 2], 'FixedSizeList(2, Int64)')", "cast([1, 2] as bigint[])", "cast(n as varchar)"]
    {
        answer(&context, expression).await.unwrap();
    }
}

/// One argument of a call.
#[derive(Clone, Copy)]
enum Kinds {
    Text,
    /// A text of the plain type, for who takes no other.
    Plain,
    Count,
    /// The engine panics when a column of widths has negative ones.
    Width,
    Pattern,
    Flags,
    Texts,
    Floats,
    Format,
    Time,
}

/// A few values of an argument.
fn random(kind: Kinds, text_type: &DataType, rows: usize, random: &mut StdRng) -> ArrayRef {
    let mut pick = |from: &[&'static str]| -> Vec<Option<&'static str>> {
        (0..rows).map(|_| random.random_bool(0.9).then(|| from[random.random_range(0..from.len())])).collect()
    };
    let texts =
        ["", "a", "ab", "aaaa", "日本", "a,b,c", "xßx", "a long text that is no view by itself, not at all", "$0\\1"];
    match kind {
        Kinds::Text => cast(&StringArray::from(pick(&texts)), text_type).unwrap(),
        Kinds::Plain => Arc::new(StringArray::from(pick(&texts))),
        Kinds::Pattern => {
            cast(&StringArray::from(pick(&["a", "(a|b)(.)", ".", "", "((x))|a*", ".*"])), text_type).unwrap()
        }
        Kinds::Flags => cast(&StringArray::from(pick(&["g", "i", "gi"])), text_type).unwrap(),
        Kinds::Format => Arc::new(StringArray::from(pick(&["%c", "%+%+%c", "%A %B", "at", ""]))),
        Kinds::Count => Arc::new(
            (0..rows).map(|_| random.random_bool(0.9).then(|| random.random_range(-3..40))).collect::<Int64Array>(),
        ),
        Kinds::Width => Arc::new(
            (0..rows).map(|_| random.random_bool(0.9).then(|| random.random_range(0..40))).collect::<Int64Array>(),
        ),
        Kinds::Time => Arc::new((0..rows).map(|_| Some(random.random::<i64>())).collect::<TimestampNanosecondArray>()),
        Kinds::Texts => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            let values = pick(&texts);
            for row in 0..rows {
                lists.append_option((row % 7 != 6).then(|| values[row..(row + row % 4).min(rows)].to_vec()));
            }
            cast(&lists.finish(), &DataType::new_list(text_type.clone(), true)).unwrap()
        }
        Kinds::Floats => {
            let values: Float64Array =
                (0..rows).map(|_| random.random_bool(0.9).then(|| f64::from_bits(random.random()))).collect();
            let lists = (0..rows).map(|row| Some(values.iter().take(row % 5).collect::<Vec<_>>()));
            Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists))
        }
    }
}

fn invoke(function: &ScalarUDF, args: &[ColumnarValue], rows: usize) -> Result<ColumnarValue, DataFusionError> {
    let fields: Vec<_> = args.iter().map(|arg| Arc::new(Field::new("x", arg.data_type(), true))).collect();
    let scalars: Vec<Option<&ScalarValue>> = args
        .iter()
        .map(|arg| match arg {
            ColumnarValue::Scalar(value) => Some(value),
            ColumnarValue::Array(_) => None,
        })
        .collect();
    let return_field =
        function.return_field_from_args(ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &scalars })?;
    let config_options = Arc::new(ConfigOptions::default());
    function.invoke_with_args(ScalarFunctionArgs {
        args: args.to_vec(),
        arg_fields: fields,
        number_rows: rows,
        return_field,
        config_options,
    })
}

/// A bound that is too small is no bound; and each answer is the same with and without it.
#[test]
fn no_call_makes_more_than_its_bound() {
    use Kinds::{Count, Flags, Floats, Format, Pattern, Plain, Text, Texts, Time, Width};
    let calls: [(&str, &[Kinds]); 24] = [
        ("repeat", &[Text, Count]),
        ("lpad", &[Text, Width]),
        ("lpad", &[Text, Width, Text]),
        ("rpad", &[Text, Width, Text]),
        ("replace", &[Text, Text, Text]),
        ("regexp_replace", &[Text, Pattern, Text]),
        ("regexp_replace", &[Text, Pattern, Text, Flags]),
        ("regexp_match", &[Text, Pattern]),
        ("translate", &[Text, Plain, Plain]),
        ("concat", &[Text, Text, Text]),
        ("concat_ws", &[Text, Text, Text, Text]),
        ("||", &[Text, Text]),
        ("overlay", &[Text, Text, Count]),
        ("to_char", &[Time, Format]),
        ("array_to_string", &[Texts, Text, Text]),
        ("array_to_string", &[Floats, Text]),
        ("string_to_array", &[Text, Text]),
        ("string_to_array", &[Text, Text, Text]),
        ("make_array", &[Text, Text]),
        ("array_append", &[Texts, Text]),
        ("array_concat", &[Texts, Texts]),
        ("array_replace_all", &[Texts, Text, Text]),
        ("arrays_zip", &[Texts, Floats]),
        ("array_positions", &[Texts, Text]),
    ];
    let engine = engine().state();
    let joined: Arc<ScalarUDF> = Arc::new(super::Joined::default().into());
    let mut rng = StdRng::seed_from_u64(7);
    let mut compared = 0;
    for (name, kinds) in calls {
        let function = engine.scalar_functions().get(name).unwrap_or(&joined);
        let growth = Growth::of(name).unwrap();
        let bounded = Bounded::of(function).unwrap();
        for text_type in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
            for round in 0..60 {
                let rows = if round % 3 == 0 { 1 } else { 20 };
                let args: Vec<ColumnarValue> = kinds
                    .iter()
                    .map(|kind| {
                        let array = random(*kind, &text_type, rows, &mut rng);
                        match rng.random_bool(0.3) {
                            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0).unwrap()),
                            false => ColumnarValue::Array(array),
                        }
                    })
                    .collect();
                let (seen, expected) = (invoke(&bounded, &args, rows), invoke(function, &args, rows));
                let (seen, expected) = match (seen, expected) {
                    (Ok(seen), Ok(expected)) => (seen.into_array(rows).unwrap(), expected.into_array(rows).unwrap()),
                    (Err(_), Err(_)) => continue,
                    (seen, expected) => panic!("{name} {args:?}: {seen:?}, not {expected:?}"),
                };
                assert_eq!(&seen, &expected, "{name} {args:?}");
                compared += 1;
                let made = |rows| sizes::array_bytes(expected.as_ref(), rows);
                let bound = growth.bytes(&args, 0..rows);
                assert!(made(0..rows) <= bound, "{name} made {} > {bound}: {args:?}", made(0..rows));
                for row in 0..rows {
                    let bound = growth.bytes(&args, row..row + 1);
                    assert!(
                        made(row..row + 1) <= bound,
                        "{name} row {row} made {} > {bound}: {args:?}",
                        made(row..row + 1)
                    );
                }
            }
        }
    }
    assert!(compared > 3_000, "only {compared} calls had an answer");
}

#[test]
fn a_bound_that_many_rows_reach_only_together_splits_the_call() {
    let engine = engine().state();
    let function = &engine.scalar_functions()["regexp_replace"];
    let texts: StringArray = (0..2_000).map(|i| (i % 9 != 0).then(|| format!("{i} {}", "x".repeat(4_096)))).collect();
    let text = |text: &str| ColumnarValue::Scalar(ScalarValue::from(text));
    let args = [ColumnarValue::Array(Arc::new(texts)), text("[0-9]+"), text(&"<number>".repeat(16)), text("g")];
    assert!(Growth::RegexReplace.bytes(&args, 0..2_000) > 10 * CALL_BYTES_MAX);
    let seen = invoke(&Bounded::of(function).unwrap(), &args, 2_000).unwrap();
    let expected = invoke(function, &args, 2_000).unwrap();
    assert_eq!(&seen.into_array(2_000).unwrap(), &expected.into_array(2_000).unwrap());
    // What is really too much is found on the way.
    let args = [args[0].clone(), text("x"), text("a text of 32 bytes, for each byte"), text("g")];
    let error = invoke(&Bounded::of(function).unwrap(), &args, 2_000).unwrap_err();
    assert!(error.to_string().contains(" are allowed"), "{error}");
}

#[tokio::test]
async fn values_of_one_query_share_its_memory_for_as_long_as_they_are_used() {
    let memory = ValueMemory::new(20 * MIB);
    let rows: Vec<RecordBatch> = (0..30).map(|_| batch(&[Some("x")], &DataType::Utf8)).collect();
    let context = with_table(bounded_engine(&memory), rows);
    // What a batch needs is gone before the next one comes.
    let streamed = "sum(character_length(repeat(s, 8000000)) + character_length(repeat(u, 8000000)))";
    assert!(answer(&context, streamed).await.unwrap().contains("480000000"));
    let error = answer(&context, "repeat(s, 8000000), repeat(s, 8000001), repeat(s, 8000002)").await.unwrap_err();
    let error = QueryError::from(error);
    assert!(matches!(error, QueryError::TooMuchMemory { .. }), "{error:?}");
    assert!(error.to_string().contains("`repeat` may need"), "{error}");
    // Kept by a sort, then by nobody.
    let error = answer(&context, "repeat(s, 800000) as a from t order by a limit 29 --").await.unwrap_err();
    assert!(matches!(QueryError::from(error), QueryError::TooMuchMemory { .. }));
    assert_eq!(memory.held_bytes(), 0);
}

#[tokio::test]
async fn constants_of_one_query_are_counted_together() {
    let lengths = (0..20).map(|i| format!("character_length(repeat('x', {}))", 1_000_000 + i));
    let lengths = lengths.collect::<Vec<_>>().join(" + ");
    let check = async |memory: usize, texts: &[Option<&str>]| {
        let rows = vec![batch(texts, &DataType::Utf8)];
        let context = with_table(bounded_engine(&ValueMemory::new(memory * MIB)), rows);
        answer(&context, &lengths).await.map_err(QueryError::from)
    };
    // The optimizer leaves what is too much for a plan; it is made for the rows, as far as memory goes.
    assert!(check(200, &TEXTS).await.unwrap().contains("20000190"));
    let error = check(5, &TEXTS).await.unwrap_err();
    assert!(matches!(error, QueryError::TooMuchMemory { .. }), "{error:?}");
    let error = check(200, &TEXTS[..1]).await.unwrap_err();
    assert!(error.to_string().contains("16777216 are allowed"), "{error}");
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn batches_are_shorter_beside_wide_constants() {
    let memory = ValueMemory::new(1024 * MIB);
    let context = with_table(bounded_engine(&memory), vec![batch(&TEXTS, &DataType::Utf8)]);
    let check = async |query: &str, rows: usize| {
        let plan = context.sql(query).await.unwrap().into_optimized_plan().unwrap();
        assert_eq!(rows_beside_constants(&plan, 8192).unwrap(), rows, "{query}");
    };
    check("select s, 'short' from t", 8192).await;
    check("select repeat('x', 8192) from t", 8192).await;
    check("select repeat('x', 16384) from t", 4096).await;
    check("select repeat('x', 16384), repeat('y', 16384) from t", 2048).await;
    check("select s from t where s in (select repeat('x', 16384) || u from t)", 4096).await;
    check("select repeat('x', 1000000) from t", 67).await;
    check(&format!("select '{}' from t", "x".repeat(65_536)), 1024).await;
}

#[test]
fn sizes_are_those_of_the_rows_asked_about() {
    let check = |array: &dyn Array, expected: [u64; 3]| {
        let seen = [0..array.len(), 1..2, 1..1].map(|rows| sizes::array_bytes(array, rows));
        assert_eq!(seen, expected, "{}", array.data_type());
    };
    let texts = StringArray::from(vec![Some("ab"), Some("a text of some length"), None]);
    let lists =
        ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.0)]), Some(vec![None, Some(2.0)]), None]);
    check(&texts, [23, 21, 0]);
    check(&texts.slice(1, 2), [21, 0, 0]);
    for other in
        [DataType::LargeUtf8, DataType::Utf8View, DataType::Binary, DataType::LargeBinary, DataType::BinaryView]
    {
        check(cast(&texts, &other).unwrap().as_ref(), [23, 21, 0]);
    }
    let words: DictionaryArray<Int32Type> = ["abc", "de", "abc"].into_iter().collect();
    check(&words, [8, 2, 0]);
    check(&lists, [3 * (8 + 17), 2 * (8 + 17), 0]);
    check(&Int64Array::from(vec![1, 2, 3]), [24, 8, 0]);
}
