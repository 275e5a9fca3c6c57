//! Random histories over a sick store, compared with a model: whatever fails, what was acknowledged is there, with its
//! values and types, once; and a question is answered right or not at all.
//!
//! `TIDEGATE_FAULT_SEEDS=n` tries so many seeds, `TIDEGATE_FAULT_SEED=n` that one alone.

use std::sync::Mutex;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidegate::catalog::databases::{IfExists, NewDatabase};
use tidegate::model::names::DEFAULT_TENANT;
use tidegate::model::{Classify, Kind, Precision};

use super::ledger::{DATABASE, JOURNAL, cells};
use super::machine::write;
use super::sick_model::{Model, OTHER};
use super::sick_world::World;
use crate::sick_store::Plan;

const SEEDS: u64 = 12;
const STEPS: usize = 30;
/// Histories at a time: they wait a lot.
const AT_ONCE: usize = 6;

#[test]
fn histories_over_a_sick_store_end_as_over_a_healthy_one() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect(name));
    let seeds = match number("TIDEGATE_FAULT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TIDEGATE_FAULT_SEEDS").unwrap_or(SEEDS),
    };
    let seeds = Mutex::new(seeds);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(seed) = { seeds.lock().unwrap().next() } {
                    history(seed);
                }
            });
        }
    });
}

fn history(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let plan = Plan::Random { seed, probability: [0.03, 0.1, 0.25][seed as usize % 3] };
    let retries = if seed.is_multiple_of(2) { 0 } else { 2 };
    let mut world = World::new(retries, format!("TIDEGATE_FAULT_SEED={seed}"));
    let mut model = Model::default();
    world.fall_ill(plan);
    world.open();
    make_databases(&world);
    for step in 0..STEPS {
        world.context = format!("TIDEGATE_FAULT_SEED={seed}, step {step}");
        match random.random_range(0..100) {
            0..35 => write_some(&world, &mut model, &mut random),
            35..40 => write_while_flushing(&world, &mut model, &mut random),
            40..55 => world.flush(),
            55..65 => drop(world.merge()),
            65..70 => world.remove_replaced(),
            70..75 => world.collect_orphans(),
            75..80 => {
                world.cut_off();
                world.open();
            }
            80..84 => {
                world.close();
                world.open();
            }
            84..88 => {
                let catalog = world.running().gateway.core.catalog.clone();
                world.retried("drop", || world.running().run(catalog.drop_database(DEFAULT_TENANT, OTHER)));
                model.drop_database(OTHER);
                make_databases(&world);
            }
            88..96 => question_the_sick(&world, &model, &mut random),
            _ => {
                world.recover();
                check(&world, &model);
                world.fall_ill(plan);
            }
        }
    }
    world.recover();
    world.context = format!("TIDEGATE_FAULT_SEED={seed}, at the end");
    check(&world, &model);
    world.cut_off();
    world.open();
    check(&world, &model);
    world.flush();
    while world.merge() > 0 {}
    check(&world, &model);
    world.check_store();
    world.close();
}

fn make_databases(world: &World) {
    let running = world.running();
    world.retried("prepare", || running.prepare());
    world.retried("create", || {
        let database = NewDatabase {
            tenant: DEFAULT_TENANT.to_string(),
            name: OTHER.to_string(),
            precision: Precision::Ns,
            policy: None,
        };
        running.run(running.gateway.core.catalog.create_database(database, IfExists::Keep))
    });
}

/// A request that is refused because the store does not answer has stored nothing.
fn write_some(world: &World, model: &mut Model, random: &mut StdRng) {
    let request = model.request(random);
    let running = world.running();
    world.retried("write", || running.run(write(&running.gateway, request.database, &request.lines)));
    model.acknowledge(request);
}

fn write_while_flushing(world: &World, model: &mut Model, random: &mut StdRng) {
    let request = model.request(random);
    let running = world.running();
    let (flushed, written) = running.run(async {
        futures::join!(running.gateway.flush(), write(&running.gateway, request.database, &request.lines))
    });
    drop(flushed); // it may fail
    if written.is_err() {
        world.retried("write", || running.run(write(&running.gateway, request.database, &request.lines)));
    }
    model.acknowledge(request);
}

fn question_the_sick(world: &World, model: &Model, random: &mut StdRng) {
    let tables = model.tables();
    if tables.is_empty() {
        return;
    }
    let (database, table) = tables[random.random_range(0..tables.len())];
    match world.running().ask(database, &Model::question(table), &world.context) {
        Ok(csv) => model.check_table((database, table), &csv, &world.context),
        Err(error) => assert_eq!(error.kind(), Kind::Unavailable, "{}: {error}", world.context),
    }
}

/// Everything, while the store is healthy.
fn check(world: &World, model: &Model) {
    let (running, context) = (world.running(), &world.context);
    let ask = |database: &str, text: &str| match running.ask(database, text, context) {
        Ok(csv) => csv,
        Err(error) => panic!("{context}: {text}: {error}"),
    };
    for database in [DATABASE, OTHER] {
        let tables = format!("select table_name from information_schema.tables where table_schema = '{database}'");
        let mut tables: Vec<String> = cells(&ask(DATABASE, &tables)).into_iter().map(|row| row[0].clone()).collect();
        tables.retain(|table| table != JOURNAL);
        tables.sort();
        let expected: Vec<&str> = model.tables().iter().filter(|(of, _)| *of == database).map(|(_, t)| *t).collect();
        assert_eq!(tables, expected, "{context}: tables of {database}");
    }
    for (database, table) in model.tables() {
        model.check_table((database, table), &ask(database, &Model::question(table)), context);
        let types = format!(
            "select column_name, data_type from information_schema.columns \
             where table_schema = '{database}' and table_name = '{table}'"
        );
        for line in ask(database, &types).lines().skip(1) {
            let (column, found) = line.split_once(',').expect("two cells");
            assert_eq!(found.trim_matches('"'), Model::shown_type_of(column), "{context}: {table}.{column}");
        }
    }
    model.check_journal(&ask(DATABASE, Model::JOURNAL_QUESTION), context);
}
