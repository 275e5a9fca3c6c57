//! COPY INTO: rows out into files and files into tables, and nothing beyond the folders that the settings name.

use std::fs;
use std::path::PathBuf;

use tidegate::config::Listener;

use crate::http_gate::{Gate, encoded};

/// A gateway that may exchange files in its folder's `exchange`, and where that is.
fn gate() -> (Gate, PathBuf) {
    let gate = Gate::with(&[("cnosdb.copy_prefixes", "file:./exchange/")]);
    gate.create_database("d");
    let folder = fs::canonicalize(gate.folder()).unwrap().join("exchange");
    fs::create_dir_all(&folder).unwrap();
    assert_eq!(gate.sql("d", "CREATE TABLE t(f DOUBLE, n BIGINT, s STRING, TAGS(g, h))"), "");
    let rows = "INSERT INTO t VALUES (1, 'a', NULL, 0.5, 1, 'x'), (2000, 'b', 'y', NULL, -2, 'two\nlines, \"quoted\"')";
    assert_eq!(gate.sql("d", rows), "rows\n2\n");
    (gate, folder)
}

/// The code and the text of a refusal that is the client's to mend.
#[track_caller]
fn refused(gate: &Gate, statement: &str) -> (String, String) {
    let (status, code, message) = gate.sql_error("d", statement);
    assert_eq!(status, 422, "{statement}: {code} {message}");
    (code, message)
}

const ALL: &str = "SELECT * FROM t ORDER BY time";

#[test]
fn rows_come_back_from_every_form_of_file() {
    let (gate, folder) = gate();
    let all = gate.sql("d", ALL);
    for (form, options) in [
        ("parquet", "type = 'parquet'"),
        ("csv", "type = 'csv'"),
        ("csv", "type = 'csv' delimiter = ';', with_header = false"),
        ("json", "type = 'json'"),
    ] {
        let url = format!("file://{}/{}/", folder.display(), options.len());
        let out = format!("COPY INTO '{url}' FROM t file_format = ({options})");
        assert_eq!(gate.sql("d", &out), "rows\n2\n", "{out}");
        // The next one has a file of its own in the same folder; what is stored twice is there once.
        assert_eq!(gate.sql("d", &out), "rows\n2\n", "{out}");
        let names: Vec<PathBuf> =
            fs::read_dir(folder.join(options.len().to_string())).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(names.len() == 2 && names.iter().all(|name| name.extension().unwrap() == form), "{names:?}");
        assert_eq!(gate.sql("d", "CREATE TABLE IF NOT EXISTS u(f DOUBLE, n BIGINT, s STRING, TAGS(g, h))"), "");
        let into =
            format!("COPY INTO u FROM '{url}' file_format = ({options}) copy_options = (auto_infer_schema = true)");
        assert_eq!(gate.sql("d", &into), "rows\n4\n", "{into}");
        assert_eq!(gate.sql("d", "SELECT * FROM u ORDER BY time"), all, "{options}");
        assert_eq!(gate.sql("d", "DROP TABLE u"), "");
    }
}

#[test]
fn a_file_that_is_named_is_written_once_and_a_failed_copy_leaves_none() {
    let (gate, folder) = gate();
    let url = |name: &str| format!("file://{}/{name}", folder.display());
    let out = format!("COPY INTO '{}' FROM (SELECT time, upper(g) AS g FROM t WHERE n > 0)", url("x.csv"));
    assert_eq!(gate.sql("d", &out), "rows\n1\n");
    assert_eq!(fs::read_to_string(folder.join("x.csv")).unwrap(), "time,g\n1970-01-01T00:00:00.000000001,A\n");
    assert!(refused(&gate, &out).1.contains("already"));
    // An error after rows came, one before, and a form that cannot hold the rows.
    for question in [
        "SELECT f, cast(s AS BIGINT) AS n FROM t",
        "SELECT missing FROM t",
        "SELECT time_window(time, '1s') AS w FROM t",
        "SELECT f, n AS f FROM t",
        "SELECT a.f, b.f FROM t a, t b",
    ] {
        let out = format!("COPY INTO '{}' FROM ({question})", url("y.csv"));
        assert_eq!(gate.sql_error("d", &out).0, 422, "{out}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    assert_eq!(gate.sql("d", &format!("COPY INTO '{}' FROM (SELECT f FROM t WHERE false)", url("e.csv"))), "rows\n0\n");
    assert_eq!(fs::read_to_string(folder.join("e.csv")).unwrap(), "f\n");
}

#[test]
fn columns_find_each_other_by_name_and_mistakes_are_told() {
    let (gate, folder) = gate();
    let file = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap();
        format!("file://{}/{name}", folder.display())
    };
    let mixed = file("mixed.csv", "N,other,TIME,g\n7,-,1970-01-01T00:00:03Z,c\n");
    assert!(refused(&gate, &format!("COPY INTO t FROM '{mixed}'")).1.contains("other"));
    assert_eq!(gate.sql("d", &format!("COPY INTO t (time, g, n) FROM '{mixed}'")), "rows\n1\n");
    // Numbers are times in the database's unit.
    let json = file(
        "rows.ndjson",
        "{\"time\":4000000000,\"n\":8,\"more\":1}\n{\"g\":\"e\",\"time\":\"1970-01-01T00:00:05\",\"f\":1}\n",
    );
    assert_eq!(gate.sql("d", &format!("COPY INTO t FROM '{json}'")), "rows\n2\n");
    let numbers = file("numbers.csv", "6000000000,9\n");
    let into = format!("COPY INTO t (time, n) FROM '{numbers}' file_format = (type = 'csv' with_header = false)");
    assert_eq!(gate.sql("d", &into), "rows\n1\n");
    let seen = gate.sql("d", "SELECT time, g, n, f FROM t WHERE time >= 3000000000 ORDER BY time");
    let expected = "time,g,n,f\n1970-01-01T00:00:03.000000000,c,7,\n1970-01-01T00:00:04.000000000,,8,\n\
                    1970-01-01T00:00:05.000000000,e,,1.0\n1970-01-01T00:00:06.000000000,,9,\n";
    assert_eq!(seen, expected);
    for (name, text) in [
        ("typed.csv", "time,n\n1,word\n"),
        ("ragged.csv", "time,n\n1\n"),
        ("timeless.csv", "n\n1\n"),
        ("late.csv", "time,n\nnoon,1\n"),
        ("bare.csv", "time,g\n1,a\n"),
        ("twice.csv", "time,n,N\n1,1,1\n"),
        ("empty.csv", ""),
        ("broken.json", "{\"time\":1,"),
        ("typed.json", "{\"time\":1,\"n\":\"word\"}\n"),
        ("text.parquet", "this is no Parquet, but it is long enough to have a footer"),
    ] {
        let into = format!("COPY INTO t FROM '{}'", file(name, text));
        assert_eq!(gate.sql_error("d", &into).0, 422, "{name}");
    }
    assert!(refused(&gate, &format!("COPY INTO t FROM 'file://{}/none.csv'", folder.display())).1.contains("no file"));
    assert_eq!(refused(&gate, &format!("COPY INTO nobody FROM '{mixed}'")).0, "030019");
    assert_eq!(gate.sql("d", "SELECT count(*) AS n FROM t"), "n\n6\n");
}

#[test]
fn nothing_is_reached_beyond_the_fence() {
    let (gate, folder) = gate();
    let root = folder.parent().unwrap().display().to_string();
    fs::write(folder.with_file_name("secret.csv"), "time,n\n1,1\n").unwrap();
    std::os::unix::fs::symlink("/etc", folder.join("etc")).unwrap();
    std::os::unix::fs::symlink(folder.with_file_name("secret.csv"), folder.join("link.csv")).unwrap();
    std::os::unix::fs::symlink(folder.with_file_name("store"), folder.join("own")).unwrap();
    let files = gate.files();
    for url in [
        format!("file://{root}/secret.csv"),
        format!("file://{root}/exchange/../secret.csv"),
        format!("file://{root}/exchange/%2e%2e/secret.csv"),
        format!("file://{root}/exchange/%2E./secret.csv"),
        format!("file://{root}/exchange/%252e%252e/secret.csv"),
        format!("file://{root}/exchange/link.csv"),
        format!("file://{root}/exchange/etc/x.csv"),
        format!("file://{root}/exchange/own/x.csv"),
        format!("file://{root}/store/x.csv"),
        format!("file://{root}/wal/x.csv"),
        format!("file://{root}/exchangeable/x.csv"),
        format!("{root}/exchange/x.csv"),
        "file:///etc/passwd".to_string(),
        "file://exchange/x.csv".to_string(),
        "file:exchange/x.csv".to_string(),
        "s3://bucket/x.csv".to_string(),
        "memory:///x.csv".to_string(),
        format!("http://{}/x.csv", gate.address(Listener::Cnosdb)),
        "https://127.0.0.1/x.csv".to_string(),
    ] {
        for statement in [
            format!("COPY INTO '{url}' FROM t file_format = (type = 'csv')"),
            format!("COPY INTO t (time, n) FROM '{url}' file_format = (type = 'csv')"),
        ] {
            let (code, message) = refused(&gate, &statement);
            assert!(code == "010001" && !message.contains("root:"), "{statement}: {code} {message}");
        }
    }
    // A link in a folder is not left out silently.
    let into = format!("COPY INTO t (time, n) FROM 'file://{}/' file_format = (type = 'csv')", folder.display());
    assert!(refused(&gate, &into).1.contains("not below"), "{into}");
    assert_eq!(gate.files().len(), files.len());
}

#[test]
fn the_gateways_own_files_are_never_reached() {
    let gate = Gate::with(&[("cnosdb.copy_prefixes", "file:./")]);
    gate.write("public", "t f=1 1");
    let root = fs::canonicalize(gate.folder()).unwrap();
    for folder in ["store", "store/catalog", "wal", "tmp"] {
        for statement in [
            format!("COPY INTO 'file://{}/{folder}/' FROM t file_format = (type = 'csv')", root.display()),
            format!("COPY INTO t FROM 'file://{}/{folder}/' file_format = (type = 'parquet')", root.display()),
        ] {
            let (status, _, message) = gate.sql_error("public", &statement);
            assert!(status == 422 && message.contains("gateway's own"), "{statement}: {message}");
        }
    }
}

#[test]
fn there_is_no_exchange_until_a_setting_names_places() {
    let gate = Gate::start();
    gate.write("public", "t f=1 1");
    let out = format!("COPY INTO 'file://{}/x.csv' FROM t", gate.folder().display());
    for statement in [&out, "COPY INTO t FROM 'file:///etc/passwd' file_format = (type = 'csv')"] {
        let (status, code, message) = gate.sql_error("public", statement);
        assert_eq!((status, code.as_str()), (422, "010005"), "{statement}: {message}");
        assert!(message.contains("cnosdb.copy_prefixes"), "{message}");
    }
}

#[test]
fn only_administrators_copy_and_credentials_are_not_said() {
    let gate = Gate::with(&[("auth.enabled", "true"), ("cnosdb.copy_prefixes", "file:./exchange/,s3://bucket/x/")]);
    let root = "u=root&p=secret";
    for q in [
        "CREATE USER root WITH PASSWORD 'secret' WITH ALL PRIVILEGES",
        "CREATE DATABASE d",
        "CREATE USER ann WITH PASSWORD 'a'",
        "GRANT ALL ON d TO ann",
    ] {
        let answer = gate.post(&format!("/query?{root}&q={}", encoded(q)), "").send().expect(200);
        assert!(!answer.text().contains("error"), "{q}: {answer}");
    }
    let sql = |basic: &str, text: &str| {
        let ask = gate.post("/api/v1/sql?db=d", text).at(Listener::Cnosdb).header("authorization", basic);
        let answer = ask.send();
        (answer.status, answer.text())
    };
    let (admin, ann) = ("Basic cm9vdDpzZWNyZXQ=", "Basic YW5uOmE=");
    assert_eq!(sql(ann, "CREATE TABLE t(f DOUBLE)").0, 200);
    assert_eq!(sql(ann, "INSERT INTO t VALUES (1, 1)").0, 200);
    let url = format!("file://{}/exchange/x.csv", fs::canonicalize(gate.folder()).unwrap().display());
    for statement in [format!("COPY INTO '{url}' FROM t"), format!("COPY INTO t FROM '{url}'")] {
        let (status, text) = sql(ann, &statement);
        assert!(status == 422 && text.contains("010004"), "{statement}: {text}");
        assert_eq!(sql(admin, &statement), (200, "rows\n1\n".to_string()), "{statement}");
    }
    let external = format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{url}'");
    let (status, text) = sql(ann, &external);
    assert!(status == 422 && text.contains("010004"), "{text}");
    assert_eq!(sql(admin, &external).0, 200);
    assert_eq!(sql(ann, "SELECT count(*) AS n FROM x"), (200, "n\n2\n".to_string()));
    let with = "CONNECTION = (region = 'r', access_key_id = 'hush-id', secret_key = 'hush-key', token = 'hush-token'";
    for rest in [
        ") x",
        ", secret_key 'hush-key')",
        ", endpoint_url = 'http://127.0.0.1:1')",
        ", hint = 'hush-key')",
        "); SELECT 1",
        "",
    ] {
        let (status, text) =
            sql(admin, &format!("COPY INTO 's3://bucket/x/' FROM t FILE_FORMAT = (TYPE = 'csv') {with}{rest}"));
        assert!(status == 422 && !text.contains("hush"), "{rest}: {text}");
    }
    assert!(!gate.log().contains("hush"), "{}", gate.log());
}

#[test]
fn external_tables_are_read_and_remembered_and_never_written() {
    let (mut gate, folder) = gate();
    let url = |name: &str| format!("file://{}/{name}", folder.display());
    for (form, name) in [("PARQUET", "p"), ("CSV", "c"), ("JSON", "j")] {
        let out = format!("COPY INTO '{}' FROM t FILE_FORMAT = (TYPE = '{form}')", url(&format!("{name}/")));
        assert_eq!(gate.sql("d", &out), "rows\n2\n");
    }
    for statement in [
        format!("CREATE EXTERNAL TABLE p STORED AS PARQUET LOCATION '{}'", url("p/")),
        format!("CREATE EXTERNAL TABLE c STORED AS CSV WITH HEADER ROW LOCATION '{}'", url("c/")),
        format!("CREATE EXTERNAL TABLE \"J\" STORED AS NDJSON LOCATION '{}'", url("j/")),
        format!("CREATE EXTERNAL TABLE IF NOT EXISTS p STORED AS CSV LOCATION '{}'", url("c/")),
        format!(
            "CREATE EXTERNAL TABLE later (a BIGINT, \"B\" STRING, at TIMESTAMP) STORED AS CSV DELIMITER ';' LOCATION '{}'",
            url("later/")
        ),
    ] {
        assert_eq!(gate.sql("d", &statement), "", "{statement}");
    }
    let check = |gate: &Gate| {
        for table in ["p", "c", "J"] {
            let question = format!("SELECT f, n, s, g, h FROM {table} WHERE n < 5 ORDER BY n DESC");
            assert_eq!(
                gate.sql("d", &question),
                "f,n,s,g,h\n0.5,1,x,a,\n,-2,\"two\nlines, \"\"quoted\"\"\",b,y\n",
                "{table}"
            );
            let joined = format!("SELECT count(*) AS n FROM t JOIN d.{table} x ON t.g = x.g");
            assert_eq!(gate.sql("public", &joined.replace("FROM t", "FROM d.t")), "n\n2\n");
        }
        assert_eq!(gate.sql("d", "SHOW TABLES"), "table_name\nJ\nc\nlater\np\nt\n");
    };
    check(&gate);
    gate.kill_and_restart();
    check(&gate);
    assert_eq!(
        gate.sql("d", "DESCRIBE TABLE later"),
        "column_name,data_type,column_type,compression_codec\na,BIGINT,FIELD,DEFAULT\nB,STRING,FIELD,DEFAULT\n\
         at,TIMESTAMP(NANOSECOND),FIELD,DEFAULT\n"
    );
    let listed = "SELECT table_engine FROM information_schema.tables WHERE table_database = 'd' ORDER BY table_name";
    assert_eq!(gate.sql("d", listed), "table_engine\nEXTERNAL\nEXTERNAL\nEXTERNAL\nEXTERNAL\nTSKV\n");
    let columns = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'later'";
    assert_eq!(gate.sql("d", columns).lines().count(), 4);
    // What is there when it is asked is what is read.
    assert!(refused(&gate, "SELECT * FROM later").1.contains("no file"));
    fs::create_dir(folder.join("later")).unwrap();
    fs::write(folder.join("later/1.csv"), "1;x;2024-01-01T00:00:00Z\n").unwrap();
    assert_eq!(gate.sql("d", "SELECT A, \"B\", at FROM LATER"), "a,B,at\n1,x,2024-01-01T00:00:00.000000000\n");
    std::os::unix::fs::symlink("/etc/passwd", folder.join("later/2.csv")).unwrap();
    assert!(refused(&gate, "SELECT * FROM later").1.contains("not below"));
    for statement in [
        "INSERT INTO p (time, n) VALUES (1, 1)",
        "UPDATE p SET n = 1 WHERE g = 'a'",
        "DELETE FROM p",
        "ALTER TABLE p ADD FIELD x DOUBLE",
    ] {
        assert_eq!(refused(&gate, statement).0, "010005", "{statement}");
    }
    let into = format!("COPY INTO p FROM '{}' FILE_FORMAT = (TYPE = 'csv')", url("c/"));
    assert_eq!(refused(&gate, &into).0, "010005");
    assert_eq!(refused(&gate, "CREATE TABLE p(f DOUBLE)").0, "030020");
    assert_ne!(gate.post("/api/v1/write?db=d", "p f=1 1").at(Listener::Cnosdb).send().status, 200);
    assert_ne!(gate.post("/write?db=d", "p f=1 1").send().status, 204);
    let taken = format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{}'", url("c/"));
    assert_eq!(refused(&gate, &taken).0, "030020");
    gate.sql("public", &format!("CREATE EXTERNAL TABLE e STORED AS CSV LOCATION '{}'", url("c/")));
    let bulk = "{\"index\":{\"_index\":\"e\"}}\n{\"a\":1}\n{\"index\":{\"_index\":\"other\"}}\n{\"a\":1}\n";
    let answer = gate.post("/_bulk", bulk).at(Listener::Elasticsearch).header("content-type", "application/x-ndjson");
    let items = answer.send().expect(200).json()["items"].clone();
    assert_eq!(items[1]["index"]["status"], 201, "{items}");
    assert!(items[0]["index"]["status"].as_u64().unwrap() >= 400, "{items}");
    // A file whose footer is whole and whose pages are not.
    let file = fs::read_dir(folder.join("p")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    bytes[4..60].fill(0xff);
    fs::write(&file, bytes).unwrap();
    assert!(refused(&gate, "SELECT * FROM p").1.contains("Parquet file cannot be read"));
    // Dropping forgets the table and leaves its files.
    let files = gate.files().len();
    assert_eq!(gate.sql("d", "DROP TABLE p"), "");
    assert_eq!(refused(&gate, "SELECT * FROM p").0, "030019");
    assert_eq!(refused(&gate, "DROP TABLE p").0, "030019");
    assert!(folder.join("p").exists() && gate.files().len() >= files);
    gate.write("d", "p f=1 1");
    assert_eq!(gate.sql("d", "SELECT f FROM p"), "f\n1.0\n");
    assert_eq!(gate.sql("d", "DROP DATABASE d"), "");
    gate.create_database("d");
    assert_eq!(gate.sql("d", "SHOW TABLES"), "table_name\n");
}

#[test]
fn external_tables_stay_inside_the_fence() {
    let (gate, folder) = gate();
    let root = folder.parent().unwrap().display().to_string();
    std::os::unix::fs::symlink("/etc", folder.join("etc")).unwrap();
    for url in [
        "file:///etc/passwd".to_string(),
        "/etc/passwd".to_string(),
        format!("file://{root}/exchange/../store/"),
        format!("file://{root}/exchange/%2e%2e/store/"),
        format!("file://{root}/exchange/etc/passwd"),
        format!("file://{root}/store/"),
        "s3://bucket/x".to_string(),
        "http://127.0.0.1/x".to_string(),
    ] {
        for columns in ["", "(a STRING)"] {
            let (code, message) =
                refused(&gate, &format!("CREATE EXTERNAL TABLE x {columns} STORED AS CSV LOCATION '{url}'"));
            assert!(code == "010001" && !message.contains("root:"), "{url}: {code} {message}");
        }
    }
    assert_eq!(gate.sql("d", "SHOW TABLES"), "table_name\nt\n");
    // A list, and a file that is none of its kind.
    fs::write(folder.join("list.json"), "{\"a\":[1]}\n").unwrap();
    fs::write(folder.join("bad.parquet"), "this is no Parquet, but it is long enough to have a footer").unwrap();
    for (form, name) in [("NDJSON", "list.json"), ("PARQUET", "bad.parquet")] {
        let create = format!("CREATE EXTERNAL TABLE x STORED AS {form} LOCATION 'file://{root}/exchange/{name}'");
        assert_eq!(gate.sql_error("d", &create).0, 422, "{name}");
    }
}
