//! Names are kept as written, whatever is in them, through log, segments and SQL; and none leaves its folder.

use crate::http_gate::Gate;

/// Names that are hard on paths, quotes, case or encodings.
const HARD: &[&str] = &[
    "two words",
    "quo\"ted",
    "apo'strophe",
    "back\\slash.x",
    "a/b",
    "..",
    "../../escape",
    "/etc/passwd",
    ".",
    "%2e%2e%2f",
    "sémaphore",
    "计量",
    "🦀",
    "tab\tbed",
    "CON",
    "file.parquet",
    "a*b?c",
    "select",
    "time",
    "semi;colon --",
    "equals=comma,",
];

/// As a measurement, a key or a tag value in line protocol.
fn escaped(name: &str) -> String {
    name.replace(',', "\\,").replace('=', "\\=").replace(' ', "\\ ")
}

/// As an identifier in SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// As CSV writes a cell.
fn cell(text: &str) -> String {
    if text.contains(['"', ',', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}

fn gate() -> Gate {
    Gate::with(&[("buffer.flush_age_ms", "10"), ("buffer.flush_small_age_ms", "10")])
}

/// Every file is where the gateway's files belong.
#[track_caller]
fn nothing_escaped(gate: &Gate) {
    let known = ["store/", "wal/", "tmp/", "log", "stdout"];
    for file in gate.files() {
        assert!(known.iter().any(|start| file.starts_with(start)), "{file}");
    }
    for segment in gate.files().iter().filter(|file| file.ends_with(".parquet")) {
        assert!(segment.starts_with("store/data/cnosdb/") && segment.split('/').count() == 8, "{segment}");
    }
}

#[test]
fn tables_may_have_any_name() {
    let mut gate = gate();
    gate.create_database("d");
    for (i, name) in HARD.iter().enumerate() {
        gate.write("d", &format!("{} f={i} 1", escaped(name)));
    }
    let read_all = |gate: &Gate| {
        for (i, name) in HARD.iter().enumerate() {
            assert_eq!(gate.sql("d", &format!("select f from {}", quoted(name))), format!("f\n{i}.0\n"), "{name}");
        }
        let listed = gate.ask_sql("d", "show tables").header("Accept", "application/json").send().expect(200).json();
        let mut listed: Vec<_> =
            listed.as_array().unwrap().iter().map(|row| row["table_name"].as_str().unwrap()).collect();
        let mut expected = HARD.to_vec();
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected);
    };
    read_all(&gate);
    gate.wait_until_flushed();
    read_all(&gate);
    gate.kill_and_restart();
    read_all(&gate);
    nothing_escaped(&gate);
}

#[test]
fn tags_and_fields_may_have_any_name_and_value() {
    let gate = gate();
    gate.create_database("d");
    // `time` is the one name that is taken.
    let names: Vec<&str> = HARD.iter().copied().filter(|name| *name != "time").collect();
    let check = |gate: &Gate| {
        for (i, name) in names.iter().enumerate() {
            let column = quoted(&format!("f{name}"));
            let statement = format!("select {} as t, {column} as f from m where {column} is not null", quoted(name));
            assert_eq!(gate.sql("d", &statement), format!("t,f\n{},{i}.0\n", cell(name)), "{name}");
            let value = name.replace('\'', "''");
            let statement = format!("select {column} as f from m where {} = '{value}'", quoted(name));
            assert_eq!(gate.sql("d", &statement), format!("f\n{i}.0\n"), "{name}");
        }
    };
    for (i, name) in names.iter().enumerate() {
        gate.write("d", &format!("m,{0}={0} {1}={i} {i}", escaped(name), escaped(&format!("f{name}"))));
    }
    check(&gate);
    gate.wait_until_flushed();
    check(&gate);
}

#[test]
fn databases_may_have_any_name_that_a_folder_can_bear() {
    let gate = gate();
    let names: Vec<&str> = HARD
        .iter()
        .copied()
        .filter(|name| !matches!(*name, "." | "..") && !name.contains(['/', '\\']) && !name.contains(char::is_control))
        .collect();
    for (i, name) in names.iter().enumerate() {
        gate.create_database(name);
        gate.write(name, &format!("m f={i} 1"));
    }
    gate.wait_until_flushed();
    for (i, name) in names.iter().enumerate() {
        assert_eq!(gate.sql(name, "select f from m"), format!("f\n{i}.0\n"), "{name}");
        assert_eq!(gate.sql("public", &format!("select f from {}.m", quoted(name))), format!("f\n{i}.0\n"), "{name}");
    }
    nothing_escaped(&gate);
}

#[test]
fn names_that_differ_by_case_only_are_different() {
    let mut gate = gate();
    for (i, database) in ["shop", "Shop", "SHOP"].into_iter().enumerate() {
        gate.create_database(database);
        for (j, table) in ["cpu", "Cpu", "CPU"].into_iter().enumerate() {
            let value = 10 * i + j;
            gate.write(
                database,
                &format!("{table},host=a,Host=b,HOST=c used={value},Used={value}i,USED=\"{value}\" 1"),
            );
        }
    }
    let check = |gate: &Gate| {
        for (i, database) in ["shop", "Shop", "SHOP"].into_iter().enumerate() {
            for (j, table) in ["cpu", "Cpu", "CPU"].into_iter().enumerate() {
                let statement = format!(
                    "select \"host\", \"Host\", \"HOST\", \"used\", \"Used\", \"USED\" from \"{table}\" where \"Host\" = 'b'"
                );
                let value = 10 * i + j;
                let expected = format!("host,Host,HOST,used,Used,USED\na,b,c,{value}.0,{value},{value}\n");
                assert_eq!(gate.sql(database, &statement), expected, "{database}.{table}");
            }
        }
    };
    check(&gate);
    gate.wait_until_flushed();
    check(&gate);
    gate.kill_and_restart();
    check(&gate);
    for database in ["shop", "Shop", "SHOP"] {
        let below = format!("store/data/cnosdb/{database}/");
        let mut folders: Vec<String> = gate
            .files()
            .iter()
            .filter_map(|file| Some(file.strip_prefix(&below)?.rsplit_once('/')?.0.to_lowercase()))
            .collect();
        folders.sort_unstable();
        folders.dedup();
        assert_eq!(folders.len(), 3, "tables share a folder where case does not count: {folders:?}");
    }
}

#[test]
fn a_tag_and_a_field_of_one_name_are_two_columns() {
    let gate = gate();
    gate.create_database("d");
    gate.write("d", "m,x=tag x=1.5 1");
    assert_eq!(gate.sql("d", "select x, x_1 from m"), "x,x_1\ntag,1.5\n");
    gate.wait_until_flushed();
    gate.write("d", "m,x=other x=2.5 2");
    assert_eq!(gate.sql("d", "select x, x_1 from m order by time"), "x,x_1\ntag,1.5\nother,2.5\n");
    assert_eq!(gate.sql("d", "select x_1 from m where x = 'tag'"), "x_1\n1.5\n");
    // The field came first.
    gate.write("d", "n y=1.5 1");
    gate.write("d", "n,y=tag y=2.5 2");
    assert_eq!(gate.sql("d", "select y, y_1 from n order by time"), "y,y_1\n1.5,\n2.5,tag\n");
}

#[test]
fn long_names_are_kept_whole() {
    let gate = gate();
    gate.create_database("d");
    let long = "n".repeat(1_000);
    for (i, end) in ["a", "b", "A"].into_iter().enumerate() {
        gate.write("d", &format!("{long}{end},{long}{end}={long}{end} {long}f={i} 1"));
    }
    gate.wait_until_flushed();
    for (i, end) in ["a", "b", "A"].into_iter().enumerate() {
        let statement = format!("select \"{long}f\" as f from \"{long}{end}\" where \"{long}{end}\" = '{long}{end}'");
        assert_eq!(gate.sql("d", &statement), format!("f\n{i}.0\n"), "…{end}");
    }
    nothing_escaped(&gate);
}
