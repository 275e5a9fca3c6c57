//! Random statements of every kind, as the parser could have made them.

use proptest::prelude::*;

use crate::query::influxql::ast::Statement;
use crate::query::influxql::cardinality::{Counted, ShowCardinality};
use crate::query::influxql::clauses::{Direction, OrderBy, Page};
use crate::query::influxql::continuous::{CreateContinuousQuery, DropContinuousQuery};
use crate::query::influxql::database::{CreateDatabase, DropDatabase, PolicySpec};
use crate::query::influxql::delete::{Delete, DropMeasurement, DropSeries};
use crate::query::influxql::expr::{BinaryOp, Call, Cast, Expr, Literal, Logic, VarRef, Wildcard};
use crate::query::influxql::policy::{
    AlterRetentionPolicy, CreateRetentionPolicy, DropRetentionPolicy, ShowRetentionPolicies,
};
use crate::query::influxql::regex::Regex;
use crate::query::influxql::schema::{
    ShowFieldKeys, ShowMeasurements, ShowSeries, ShowTagKeys, ShowTagValues, TagKeys,
};
use crate::query::influxql::select::{Explain, Field, Fill, Select};
use crate::query::influxql::server::{DropShard, KillQuery, ShowDiagnostics, ShowStats};
use crate::query::influxql::source::{Measurement, MeasurementName, Source, Target};
use crate::query::influxql::subscription::{CreateSubscription, DropSubscription, SubscriptionMode};
use crate::query::influxql::token::Keyword;
use crate::query::influxql::user::{CreateUser, DropUser, Grant, Password, Privilege, Revoke, SetPassword, ShowGrants};
use crate::query::influxql::zone::TimeZone;
use crate::query::influxql::{Duration, Ident};

/// Any name but those with a carriage return: the language cannot write one.
fn name() -> impl Strategy<Value = Ident> {
    let keyword = prop::sample::select(Keyword::ALL).prop_map(|keyword| keyword.as_str().to_lowercase());
    prop_oneof!["[a-zA-Z_][a-zA-Z0-9_]{0,8}", "[^\r]{0,8}", "[\"\\\\\n'a ]{0,6}", keyword].prop_map(Ident)
}

fn some_name() -> impl Strategy<Value = Ident> {
    name().prop_filter("not empty", |name| !name.0.is_empty())
}

fn maybe<T: std::fmt::Debug + Clone>(strategy: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::of(strategy)
}

fn text() -> impl Strategy<Value = String> {
    "[^\r]{0,8}"
}

fn duration() -> impl Strategy<Value = Duration> {
    let unit = prop::sample::select(vec![1, 1_000, 1_000_000, 1_000_000_000, 60_000_000_000, 3_600_000_000_000]);
    prop_oneof![Just(0), 0..=i64::MAX, (0..10_000i64, unit).prop_map(|(n, unit)| n * unit)].prop_map(Duration)
}

fn positive_duration() -> impl Strategy<Value = Duration> {
    duration().prop_filter("more than nothing", |duration| duration.0 > 0)
}

fn replication() -> impl Strategy<Value = i64> {
    1..=i64::from(i32::MAX)
}

fn regex() -> impl Strategy<Value = Regex> {
    let sources = vec!["", "^a", "x/y", "(?i)b\\d+", "\\/", "[/]$", "é"];
    prop::sample::select(sources).prop_map(|source| Regex::new(source).unwrap())
}

fn reference() -> impl Strategy<Value = VarRef> {
    let casts = [Cast::Float, Cast::Integer, Cast::Unsigned, Cast::String, Cast::Boolean, Cast::Field, Cast::Tag];
    (name(), maybe(prop::sample::select(casts.to_vec()))).prop_map(|(name, cast)| VarRef { name, cast })
}

fn literal() -> impl Strategy<Value = Literal> {
    let number = any::<f64>().prop_filter("a number", |value| value.is_finite());
    prop_oneof![
        number.prop_map(Literal::Number),
        any::<i64>().prop_map(Literal::Integer),
        (i64::MAX.unsigned_abs() + 1..).prop_map(Literal::Unsigned),
        text().prop_map(Literal::String),
        any::<bool>().prop_map(Literal::Boolean),
        duration().prop_map(Literal::Duration),
    ]
}

fn leaf() -> impl Strategy<Value = Expr> {
    let wildcards = vec![Wildcard::All, Wildcard::Fields, Wildcard::Tags];
    prop_oneof![
        4 => reference().prop_map(Expr::Ref),
        3 => literal().prop_map(Expr::Literal),
        1 => prop::sample::select(wildcards).prop_map(Expr::Wildcard),
        1 => name().prop_map(Expr::Distinct),
    ]
}

/// Operands with operators of one strength between them.
fn chain(
    operand: impl Strategy<Value = Expr> + Clone + 'static,
    ops: &[BinaryOp],
) -> impl Strategy<Value = Expr> + Clone {
    let rest = prop::collection::vec((prop::sample::select(ops.to_vec()), operand.clone()), 0..3);
    (operand, rest)
        .prop_map(|(first, rest)| rest.into_iter().fold(first, |left, (op, right)| Expr::binary(op, left, right)))
}

/// What may stand among the fields.
fn value() -> BoxedStrategy<Expr> {
    use BinaryOp::{Add, BitAnd, BitOr, BitXor, Div, Mod, Mul, Sub};
    leaf()
        .boxed()
        .prop_recursive(3, 24, 3, |inner| {
            let functions = prop::sample::select(vec!["mean", "now", "distinct", "top", "x_1"]);
            let argument = prop_oneof![4 => inner.clone(), 1 => regex().prop_map(|r| Expr::Literal(Literal::Regex(r)))];
            let call = (functions, prop::collection::vec(argument, 0..3))
                .prop_map(|(name, args)| Expr::Call(Call { name: name.to_string(), args }));
            let inside = prop_oneof![
                reference().prop_map(Expr::Ref),
                call,
                inner.clone().prop_map(|inner| Expr::Paren(Box::new(inner))),
            ];
            let no_sign = |of: &Expr| !matches!(of, Expr::Call(call) if call.name == "distinct");
            let takes_sign = inside.clone().prop_filter("takes a sign", no_sign);
            let signed = (prop::sample::select(vec![1, -1]), takes_sign)
                .prop_map(|(sign, of)| Expr::binary(Mul, Literal::Integer(sign).into(), of));
            let operand = prop_oneof![2 => leaf(), 2 => inside, 1 => signed].boxed();
            chain(chain(operand, &[Mul, Div, Mod, BitAnd]).boxed(), &[Add, Sub, BitOr, BitXor])
        })
        .boxed()
}

fn condition() -> BoxedStrategy<Expr> {
    use BinaryOp::{Eq, EqRegex, Greater, GreaterEq, Less, LessEq, NotEq, NotEqRegex};
    let compared = chain(value(), &[Eq, NotEq, Less, LessEq, Greater, GreaterEq]);
    let matched = (value(), prop::sample::select(vec![EqRegex, NotEqRegex]), regex())
        .prop_map(|(left, op, regex)| Expr::binary(op, left, Literal::Regex(regex).into()));
    prop_oneof![3 => compared, 1 => matched]
        .boxed()
        .prop_recursive(3, 16, 3, |inner| {
            let all = prop_oneof![
                2 => Just(()).prop_flat_map({
                    let inner = inner.clone();
                    move |()| inner.clone().prop_filter("no logic", |term| !matches!(term, Expr::Logic(..)))
                }),
                1 => inner.prop_map(|inner| Expr::Paren(Box::new(inner))),
            ]
            .boxed();
            let some = prop::collection::vec(all.clone(), 1..4).prop_map(|terms| logic(Logic::And, terms)).boxed();
            prop::collection::vec(some, 1..3).prop_map(|terms| logic(Logic::Or, terms))
        })
        .boxed()
}

fn logic(logic: Logic, mut terms: Vec<Expr>) -> Expr {
    if terms.len() == 1 { terms.remove(0) } else { Expr::Logic(logic, terms) }
}

fn dimensions() -> impl Strategy<Value = Vec<Expr>> {
    let dimension = prop_oneof![3 => value(), 1 => regex().prop_map(|regex| Expr::Literal(Literal::Regex(regex)))];
    prop::collection::vec(dimension, 0..3)
}

fn measurement() -> impl Strategy<Value = Measurement> {
    let of = prop_oneof![3 => name().prop_map(MeasurementName::Name), 1 => regex().prop_map(MeasurementName::Regex)];
    (maybe(some_name()), maybe(some_name()), of).prop_map(|(database, policy, name)| Measurement {
        database,
        policy,
        name,
    })
}

fn unqualified() -> impl Strategy<Value = Measurement> {
    measurement().prop_map(|Measurement { name, .. }| Measurement { database: None, policy: None, name })
}

fn measurements() -> impl Strategy<Value = Vec<Measurement>> {
    prop::collection::vec(measurement(), 0..3)
}

fn target() -> impl Strategy<Value = Target> {
    (maybe(some_name()), maybe(some_name()), maybe(some_name())).prop_map(|(database, policy, name)| Target {
        database,
        policy,
        name,
    })
}

fn order() -> impl Strategy<Value = Option<OrderBy>> {
    let direction = prop::sample::select(vec![Direction::Ascending, Direction::Descending]);
    maybe((direction, any::<bool>()).prop_map(|(direction, names_time)| OrderBy { direction, names_time }))
}

fn page() -> impl Strategy<Value = Page> {
    let count = || prop_oneof![Just(0), 0..100u64, 0..=i64::MAX.unsigned_abs()];
    (count(), count()).prop_map(|(limit, offset)| Page { limit, offset })
}

fn fill() -> impl Strategy<Value = Fill> {
    let number = any::<f64>().prop_filter("a number", |value| value.is_finite());
    prop_oneof![
        Just(Fill::Null),
        Just(Fill::None),
        Just(Fill::Previous),
        Just(Fill::Linear),
        any::<i64>().prop_map(Fill::Integer),
        number.prop_map(Fill::Number),
    ]
}

fn zone() -> impl Strategy<Value = Option<TimeZone>> {
    maybe(prop::sample::select(vec!["UTC", "Local", "Europe/Berlin"])).prop_map(|name| TimeZone::named(name?))
}

fn field() -> impl Strategy<Value = Field> {
    let expr = prop_oneof![5 => value(), 1 => regex().prop_map(|regex| Expr::Literal(Literal::Regex(regex)))];
    (expr, maybe(some_name())).prop_map(|(expr, alias)| Field { expr, alias })
}

fn select_from(source: BoxedStrategy<Source>) -> BoxedStrategy<Select> {
    let what = (
        prop::collection::vec(field(), 1..3),
        maybe(target()),
        prop::collection::vec(source, 1..3),
        maybe(condition()),
        dimensions(),
    );
    (what, fill(), order(), page(), page(), zone())
        .prop_map(|((fields, target, sources, condition, dimensions), fill, order, rows, series, zone)| Select {
            fields,
            target,
            sources,
            condition,
            dimensions,
            fill,
            order,
            rows,
            series,
            zone,
        })
        .boxed()
}

fn select() -> BoxedStrategy<Select> {
    let measured = || measurement().prop_map(Source::Measurement);
    let inner = select_from(measured().boxed()).prop_map(|inner| Source::Subquery(Box::new(inner)));
    select_from(prop_oneof![4 => measured(), 1 => inner].boxed())
}

fn tag_keys() -> impl Strategy<Value = TagKeys> {
    prop_oneof![
        prop::collection::vec(name(), 1..4).prop_map(TagKeys::In),
        name().prop_map(TagKeys::Equal),
        name().prop_map(TagKeys::NotEqual),
        regex().prop_map(TagKeys::Matching),
        regex().prop_map(TagKeys::NotMatching),
    ]
}

fn schema() -> BoxedStrategy<Statement> {
    let on = || maybe(some_name());
    let measurements_shown = (on(), maybe(measurement()), maybe(condition()), order(), page()).prop_map(
        |(database, measurement, condition, order, rows)| {
            Statement::ShowMeasurements(ShowMeasurements { database, measurement, condition, order, rows })
        },
    );
    let series = (on(), measurements(), maybe(condition()), order(), page()).prop_map(
        |(database, sources, condition, order, rows)| {
            Statement::ShowSeries(ShowSeries { database, sources, condition, order, rows })
        },
    );
    let keys = (on(), measurements(), maybe(condition()), order(), page(), page()).prop_map(
        |(database, sources, condition, order, rows, series)| {
            Statement::ShowTagKeys(ShowTagKeys { database, sources, condition, order, rows, series })
        },
    );
    let values = (on(), measurements(), tag_keys(), maybe(condition()), order(), page()).prop_map(
        |(database, sources, keys, condition, order, rows)| {
            Statement::ShowTagValues(ShowTagValues { database, sources, keys, condition, order, rows })
        },
    );
    let fields = (on(), measurements(), order(), page()).prop_map(|(database, sources, order, rows)| {
        Statement::ShowFieldKeys(ShowFieldKeys { database, sources, order, rows })
    });
    let counted = prop_oneof![
        Just(Counted::Series),
        Just(Counted::Measurements),
        Just(Counted::TagKeys),
        Just(Counted::FieldKeys),
        tag_keys().prop_map(Counted::TagValues),
    ];
    let cardinality = (counted, any::<bool>(), on(), measurements(), maybe(condition()), dimensions(), page())
        .prop_map(|(of, exact, database, sources, condition, dimensions, rows)| {
            Statement::ShowCardinality(ShowCardinality { of, exact, database, sources, condition, dimensions, rows })
        });
    prop_oneof![measurements_shown, series, keys, values, fields, cardinality].boxed()
}

fn policy_spec() -> impl Strategy<Value = PolicySpec> {
    (maybe(duration()), maybe(replication()), maybe(duration()), maybe(name()))
        .prop_map(|(duration, replication, shard_duration, name)| PolicySpec {
            duration,
            replication,
            shard_duration,
            name,
        })
        .prop_filter("WITH needs something", |spec| *spec != PolicySpec::default())
}

fn databases_and_policies() -> BoxedStrategy<Statement> {
    let create = (name(), name(), duration(), replication(), maybe(positive_duration()), any::<bool>()).prop_map(
        |(name, database, duration, replication, shard_duration, default)| {
            Statement::CreateRetentionPolicy(CreateRetentionPolicy {
                name,
                database,
                duration,
                replication,
                shard_duration,
                default,
            })
        },
    );
    let changes = (maybe(duration()), maybe(replication()), maybe(duration()), any::<bool>());
    let alter = (name(), name(), changes).prop_filter_map(
        "a change",
        |(name, database, (duration, replication, shard_duration, default))| {
            let some = default || duration.is_some() || replication.is_some() || shard_duration.is_some();
            let alter = AlterRetentionPolicy { name, database, duration, replication, shard_duration, default };
            some.then_some(Statement::AlterRetentionPolicy(alter))
        },
    );
    prop_oneof![
        (name(), maybe(policy_spec()))
            .prop_map(|(name, policy)| Statement::CreateDatabase(CreateDatabase { name, policy })),
        name().prop_map(|name| Statement::DropDatabase(DropDatabase { name })),
        create,
        alter,
        (name(), name())
            .prop_map(|(name, database)| Statement::DropRetentionPolicy(DropRetentionPolicy { name, database })),
        maybe(some_name()).prop_map(|database| Statement::ShowRetentionPolicies(ShowRetentionPolicies { database })),
    ]
    .boxed()
}

fn users() -> BoxedStrategy<Statement> {
    let password = || text().prop_map(Password);
    let right = || {
        let privilege = prop::sample::select(vec![Privilege::Read, Privilege::Write, Privilege::All]);
        prop_oneof![
            (privilege, name()).prop_map(|(privilege, database)| (privilege, Some(database))),
            Just((Privilege::All, None)),
        ]
    };
    prop_oneof![
        (name(), password(), any::<bool>()).prop_map(|(name, password, admin)| Statement::CreateUser(CreateUser {
            name,
            password,
            admin
        })),
        name().prop_map(|name| Statement::DropUser(DropUser { name })),
        (name(), password()).prop_map(|(name, password)| Statement::SetPassword(SetPassword { name, password })),
        (right(), name()).prop_map(|((privilege, database), user)| Statement::Grant(Grant {
            privilege,
            database,
            user
        })),
        (right(), name()).prop_map(|((privilege, database), user)| Statement::Revoke(Revoke {
            privilege,
            database,
            user
        })),
        name().prop_map(|user| Statement::ShowGrants(ShowGrants { user })),
    ]
    .boxed()
}

fn other() -> BoxedStrategy<Statement> {
    let modes = vec![SubscriptionMode::All, SubscriptionMode::Any];
    let subscription = (name(), name(), name(), prop::sample::select(modes), prop::collection::vec(text(), 1..3))
        .prop_map(|(name, database, policy, mode, destinations)| {
            Statement::CreateSubscription(CreateSubscription { name, database, policy, mode, destinations })
        });
    let continuous = (name(), name(), maybe(positive_duration()), select(), target()).prop_filter_map(
        "raw",
        |(name, database, resample_every, select, target)| {
            let select = Box::new(Select { target: Some(target), ..select });
            let valid = select.is_raw() && select.written_interval().is_ok();
            let create = CreateContinuousQuery { name, database, resample_every, resample_for: None, select };
            valid.then_some(Statement::CreateContinuousQuery(create))
        },
    );
    let place = || {
        (prop::collection::vec(unqualified(), 0..3), maybe(condition()))
            .prop_filter("a place or a condition", |(sources, condition)| !sources.is_empty() || condition.is_some())
    };
    let module = || maybe(text()).prop_map(|module| module.filter(|module| !module.is_empty()));
    prop_oneof![
        subscription,
        (name(), name(), name()).prop_map(|(name, database, policy)| {
            Statement::DropSubscription(DropSubscription { name, database, policy })
        }),
        continuous,
        (name(), name())
            .prop_map(|(name, database)| Statement::DropContinuousQuery(DropContinuousQuery { name, database })),
        place().prop_map(|(sources, condition)| Statement::Delete(Delete { sources, condition })),
        place().prop_map(|(sources, condition)| Statement::DropSeries(DropSeries { sources, condition })),
        name().prop_map(|name| Statement::DropMeasurement(DropMeasurement { name })),
        any::<u64>().prop_map(|id| Statement::DropShard(DropShard { id })),
        (any::<u64>(), maybe(some_name())).prop_map(|(id, host)| Statement::KillQuery(KillQuery { id, host })),
        module().prop_map(|module| Statement::ShowStats(ShowStats { module })),
        module().prop_map(|module| Statement::ShowDiagnostics(ShowDiagnostics { module })),
        prop::sample::select(vec![
            Statement::ShowDatabases,
            Statement::ShowContinuousQueries,
            Statement::ShowSubscriptions,
            Statement::ShowUsers,
            Statement::ShowQueries,
            Statement::ShowShards,
            Statement::ShowShardGroups,
        ]),
    ]
    .boxed()
}

pub(super) fn statement() -> BoxedStrategy<Statement> {
    let explain = (any::<bool>(), select())
        .prop_map(|(analyze, select)| Statement::Explain(Explain { analyze, select: Box::new(select) }));
    prop_oneof![
        3 => select().prop_map(|select| Statement::Select(Box::new(select))),
        1 => explain,
        2 => schema(),
        2 => databases_and_policies(),
        1 => users(),
        2 => other(),
    ]
    .boxed()
}
