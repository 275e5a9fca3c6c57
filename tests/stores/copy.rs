//! COPY INTO over a bucket: with the gateway's credentials and with those of the statement.

use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::http_gate::Gate;
use crate::minio::Minio;

const ROWS: usize = 60_000;

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_out_to_a_bucket_and_come_back() {
    let minio = Minio::start();
    let mut settings = minio.settings("prefix");
    let url = settings.iter().find(|(name, _)| name == "storage.url").unwrap().1.clone();
    let bucket = url.strip_suffix("/prefix").unwrap().to_string();
    settings.push(("cnosdb.copy_prefixes".to_string(), format!("{bucket}/exports/,{url}/")));
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let environment = minio.credentials();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let gate = Gate::start_not_ready(&settings, &environment);
    gate.wait_until_ready();
    gate.create_database("d");
    assert_eq!(gate.sql("d", "CREATE TABLE t(f DOUBLE, s STRING, TAGS(g))"), "");
    // Enough for several parts of an upload.
    let mut noise = 1_u64;
    for round in 0..4 {
        let lines: String = (0..ROWS / 4)
            .map(|row| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let text = format!("{noise:016x}").repeat(12);
                format!("t,g=g{} f={row},s=\"{text}\" {}\n", row % 7, round * ROWS + row)
            })
            .collect();
        gate.write("d", &lines);
    }
    let sum = "SELECT count(*) AS n, sum(f) AS s, min(length(s)) AS l FROM";
    let all = gate.sql("d", &format!("{sum} t"));
    let counted = format!("rows\n{ROWS}\n");
    for form in ["parquet", "csv", "json"] {
        let out = format!("COPY INTO '{bucket}/exports/{form}/' FROM t file_format = (type = '{form}')");
        assert_eq!(gate.sql("d", &out), counted);
        assert_eq!(gate.sql("d", "CREATE TABLE u(f DOUBLE, s STRING, TAGS(g))"), "");
        let connection = format!(
            "CONNECTION = (access_key_id = '{}', secret_key = '{}', region = 'us-east-1')",
            minio.access_key(),
            minio.secret_key()
        );
        let into = format!("COPY INTO u FROM '{bucket}/exports/{form}/' {connection} file_format = (type = '{form}')");
        assert_eq!(gate.sql("d", &into), counted);
        assert_eq!(gate.sql("d", &format!("{sum} u")), all);
        assert_eq!(gate.sql("d", "DROP TABLE u"), "");
    }
    // Wrong credentials, what is not there, and what is the gateway's own.
    let wrong = "CONNECTION = (access_key_id = 'nobody', secret_key = 'wr0ng-hush')";
    for (statement, expected) in [
        (format!("COPY INTO '{bucket}/exports/new.csv' FROM t {wrong}"), "credentials"),
        (format!("COPY INTO t FROM '{bucket}/exports/csv/' {wrong} file_format = (type = 'csv')"), "credentials"),
        (format!("COPY INTO t FROM '{bucket}/exports/none.csv'"), "no file"),
        (format!("COPY INTO '{bucket}/x.csv' FROM t"), "not below"),
        (format!("COPY INTO '{url}/x.csv' FROM t"), "gateway's own"),
        (format!("COPY INTO t FROM '{url}/' file_format = (type = 'parquet')"), "gateway's own"),
    ] {
        let (_, _, message) = gate.sql_error("d", &statement);
        assert!(message.contains(expected) && !message.contains("hush"), "{statement}: {message}");
    }
    assert!(!gate.log().contains("hush"));
    let failing = format!("COPY INTO '{bucket}/exports/half.csv' FROM (SELECT s, CAST(s AS BIGINT) AS n FROM t)");
    assert_eq!(gate.sql_error("d", &failing).0, 422);
    assert!(minio.client().head(&Path::from("exports/half.csv")).await.is_err());
}
