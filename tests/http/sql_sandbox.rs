//! SQL may ask about tables and nothing else: no files, no settings, no changes, no rows out of nothing.

use crate::http_gate::{Gate, eventually};

fn gate_with_table() -> Gate {
    let gate = Gate::start();
    gate.write("public", "t f=1 1");
    gate
}

/// Refused as wrong (422) with a CnosDB error, and nothing was made.
#[track_caller]
fn refused(gate: &Gate, statement: &str) {
    let files = gate.files();
    let (status, code, message) = gate.sql_error("public", statement);
    assert_eq!(status, 422, "{statement}: {code} {message}");
    assert!(!message.contains("root:"), "{statement}: {message}");
    let new: Vec<String> = gate.files().into_iter().filter(|file| !files.contains(file)).collect();
    assert!(new.is_empty(), "{statement} made {new:?}");
}

#[test]
fn statements_that_are_no_questions_are_refused_by_name() {
    let gate = gate_with_table();
    let out = gate.folder().join("out").display().to_string();
    for statement in [
        format!("COPY t TO '{out}.parquet'"),
        format!("COPY (select * from t) TO '{out}.csv' STORED AS CSV"),
        format!("COPY INTO '{out}' FROM t file_format = (type = 'parquet')"),
        format!("EXPLAIN ANALYZE COPY t TO '{out}.json'"),
        format!("EXPLAIN COPY t TO '{out}.json'"),
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'".to_string(),
        "CREATE EXTERNAL TABLE x (a STRING) STORED AS PARQUET LOCATION 's3://bucket/x'".to_string(),
        "CREATE VIEW x AS SELECT 1".to_string(),
        "CREATE FUNCTION f(a INT) RETURNS INT RETURN a".to_string(),
        "EXPLAIN ANALYZE INSERT INTO t SELECT * FROM t".to_string(),
        "TRUNCATE TABLE t".to_string(),
        "SET datafusion.execution.batch_size = 1".to_string(),
        "SET TIME ZONE = 'UTC'".to_string(),
        "PREPARE p AS SELECT 1".to_string(),
        "EXECUTE p".to_string(),
        "BEGIN".to_string(),
    ] {
        refused(&gate, &statement);
        let (_, code, _) = gate.sql_error("public", &statement);
        assert_eq!(code, "010005", "{statement}");
    }
    assert_eq!(gate.sql("public", "select f from t"), "f\n1.0\n");
    assert_eq!(gate.sql("public", "show tables"), "table_name\nt\n");
}

#[test]
fn files_are_no_tables() {
    let gate = gate_with_table();
    std::fs::write(gate.folder().join("file.csv"), "a,b\n1,2\n").unwrap();
    let file = gate.folder().join("file.csv").display().to_string();
    for name in [
        "/etc/passwd",
        "file.csv",
        "file.parquet",
        &file,
        "file:///etc/passwd",
        "s3://bucket/key",
        "http://127.0.0.1/x",
    ] {
        for quote in ['\'', '"', '`'] {
            refused(&gate, &format!("select * from {quote}{name}{quote}"));
        }
        refused(&gate, &format!("select * from t join '{name}' on true"));
        refused(&gate, &format!("select (select count(*) from '{name}')"));
        refused(&gate, &format!("with x as (select * from '{name}') select * from x"));
        refused(&gate, &format!("describe '{name}'"));
    }
}

#[test]
fn functions_read_no_files_and_make_no_tables() {
    let gate = gate_with_table();
    for call in [
        "read_csv('/etc/passwd')",
        "read_parquet('/etc/passwd')",
        "csv_scan('/etc/passwd')",
        "parquet_scan('file.parquet')",
        "parquet_metadata('file.parquet')",
        "metadata_cache()",
        "statistics_cache()",
        "list_files_cache()",
        "generate_series(1, 1000000000000)",
        "range(1, 1000000000000)",
    ] {
        refused(&gate, &format!("select * from {call}"));
        refused(&gate, &format!("select * from t, {call} as x"));
        refused(&gate, &format!("select (select count(*) from {call})"));
    }
    for call in [
        "read_file('/etc/passwd')",
        "pg_read_file('/etc/passwd')",
        "range(1, 100000000000)",
        "generate_series(1, 100000000000)",
    ] {
        refused(&gate, &format!("select {call}"));
    }
}

#[test]
fn one_statement_is_taken_and_a_hidden_second_is_not() {
    let gate = gate_with_table();
    assert_eq!(gate.sql("public", "select 1 as one;"), "one\n1\n");
    let (status, code, message) = gate.sql_error("public", "select 1; drop database public");
    assert_eq!((status, &*code), (422, "010013"));
    assert_eq!(message, "Multi-statement not allow, found num:2, sql:select 1; drop database public");
    for nothing in ["", " ", ";", "-- select 1"] {
        let (status, code, _) = gate.sql_error("public", nothing);
        assert_eq!((status, &*code), (422, "010009"), "{nothing:?}");
    }
}

#[test]
fn what_is_no_sql_is_a_syntax_error() {
    let gate = gate_with_table();
    for text in ["selec 1", "select from", "select 'open", "select * from t where", "\u{0}", "{\"sql\":1}"] {
        let (status, code, message) = gate.sql_error("public", text);
        assert_eq!((status, &*code), (422, "010009"), "{text:?}");
        assert!(message.starts_with("sql parser error: "), "{text:?}: {message}");
    }
    let answer = gate.post("/api/v1/sql", [b's', 0xff]).send().expect(422);
    assert_eq!(answer.cnosdb_error().0, "040015", "{answer}");
}

#[test]
fn what_does_not_exist_is_said() {
    let gate = gate_with_table();
    let check = |statement: &str, code: &str, message: &str| {
        let expected = (422, code.to_string(), message.to_string());
        assert_eq!(gate.sql_error("public", statement), expected, "{statement}");
    };
    check("select * from missing", "030019", "Table not found: \"cnosdb.public.missing\"");
    check("select * from d.missing", "030017", "Database not found: \"d\"");
    check("show tables on d", "030017", "Database not found: \"d\"");
    check("describe table missing", "030019", "Table not found: \"cnosdb.public.missing\"");
    let (status, code, message) = gate.sql_error("public", "select nothing from t");
    assert_eq!((status, &*code), (422, "010001"), "{message}");
    assert!(message.contains("nothing"), "{message}");
    // A database is not looked for until a statement needs it.
    assert_eq!(gate.sql("missing", "select 1 as one"), "one\n1\n");
    let (status, code, _) = gate.sql_error("missing", "select * from t");
    assert_eq!((status, &*code), (422, "030017"));
}

#[test]
fn another_tenants_tables_do_not_exist() {
    let gate = gate_with_table();
    gate.sql("public", "create tenant other");
    for statement in ["select * from other.public.t", "select * from cnosdb.public.t"] {
        let answer = gate.post("/api/v1/sql?tenant=other", statement).send();
        assert_eq!(answer.clone().expect(422).cnosdb_error().0, "030017", "{answer}");
    }
    refused(&gate, "select * from other.public.t");
    assert_eq!(gate.sql("public", "select f from cnosdb.public.t"), "f\n1.0\n");
}

#[test]
fn deep_statements_are_refused_and_harm_no_one() {
    let gate = gate_with_table();
    let deep = 20_000;
    for statement in [
        format!("select {}1{}", "(".repeat(deep), ")".repeat(deep)),
        format!("select {}1", "-".to_string() + &" -".repeat(deep)),
        format!("select 1 {}", "+ 1 ".repeat(deep)),
        format!("select * from t where {}", vec!["f = 1"; deep].join(" or ")),
        format!("select {} true", "not ".repeat(deep)),
        format!("select {}1{}", "(select ".repeat(500), ")".repeat(500)),
        format!("select f from t {}", "union all select f from t ".repeat(2_000)),
        format!("select {}f{} from t", "abs(".repeat(5_000), ")".repeat(5_000)),
        format!("select {}1{}", "case when true then ".repeat(5_000), " end".repeat(5_000)),
        format!("select {}1{}", "[".repeat(deep), "]".repeat(deep)),
    ] {
        let answer = gate.ask_sql("public", &statement).try_send();
        let head = &statement[..40];
        let answer = answer.unwrap_or_else(|error| panic!("{head}…: {error}"));
        assert!(matches!(answer.status, 200 | 422 | 413), "{head}…: {answer}");
        gate.get("/ping").send().expect(204);
    }
    assert_eq!(gate.sql("public", "select f from t"), "f\n1.0\n");
}

#[test]
fn recursion_is_refused() {
    let gate = gate_with_table();
    refused(&gate, "with recursive r as (select 1 as n union all select n + 1 from r) select count(*) from r");
}

#[test]
fn one_value_cannot_take_more_memory_than_its_query_may() {
    let limit = (16 << 20).to_string();
    let gate = Gate::with(&[("query.memory_bytes", &limit), ("query.memory_bytes_per_query", &limit)]);
    gate.write("public", "t f=1,s=\"x\" 1");
    for value in [
        "repeat(s, 300000000)",
        "lpad(s, 300000000, 'y')",
        "rpad(s, 300000000, 'y')",
        "replace(repeat(s, 100000), 'x', repeat('y', 3000))",
        "array_to_string(make_array(repeat(s, 150000000), repeat(s, 150000000)), ',')",
    ] {
        let answer = gate.ask_sql("public", &format!("select character_length({value}) as n from t")).send();
        assert!(answer.status >= 400, "{value}: {answer}");
        answer.cnosdb_error();
    }
    let peak = peak_resident_bytes(&gate);
    assert!(peak < 600 << 20, "the process took {} MiB", peak >> 20);
}

/// The most memory that the process ever had, by the kernel's own book.
fn peak_resident_bytes(gate: &Gate) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

#[test]
fn refused_statements_hold_no_turn() {
    let gate = Gate::with(&[("query.concurrency", "1"), ("query.queue", "0")]);
    gate.write("public", "t f=1 1");
    for _ in 0..5 {
        for statement in [
            "select * from missing",
            "select nothing from t",
            "select 1/0",
            "copy t to 'x'",
            "select * from range(1, 2)",
        ] {
            let (status, _, message) = gate.sql_error("public", statement);
            assert_eq!(status, 422, "{statement}: {message}");
        }
    }
    eventually("no query runs", || gate.metric("tidegate_queries_running", "") == 0.0);
    assert_eq!(gate.sql("public", "select f from t"), "f\n1.0\n");
}
