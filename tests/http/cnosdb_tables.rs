//! Tables made, filled, changed and emptied with SQL, over flushes and restarts.

use tidegate::config::Listener;

use crate::http_gate::{Gate, eventually};

/// Statements that answer with nothing.
#[track_caller]
fn done(gate: &Gate, statements: &[&str]) {
    for statement in statements {
        assert_eq!(gate.sql("d", statement), "", "{statement}");
    }
}

#[track_caller]
fn check(gate: &Gate, statement: &str, expected: &str) {
    assert_eq!(gate.sql("d", statement), expected, "{statement}");
}

#[track_caller]
fn refused(gate: &Gate, statement: &str, code: &str) {
    let (status, seen, message) = gate.sql_error("d", statement);
    assert_eq!((status, seen.as_str()), (422, code), "{statement}: {message}");
}

fn gate() -> Gate {
    let gate = Gate::with(&[("buffer.flush_age_ms", "10"), ("buffer.flush_small_age_ms", "10")]);
    gate.create_database("d");
    gate
}

#[test]
fn columns_that_come_and_go_read_right_from_every_segment() {
    let mut gate = gate();
    done(&gate, &["CREATE TABLE t(f0 BIGINT CODEC(DELTA), TAGS(t0))"]);
    check(&gate, "INSERT INTO t (TIME, t0, f0) VALUES (1, 'a', 4), (5, 'b', 8)", "rows\n2\n");
    gate.wait_until_flushed();
    done(&gate, &["ALTER TABLE t ADD FIELD f1 DOUBLE", "ALTER TABLE t ADD TAG t1"]);
    check(&gate, "INSERT t VALUES (9, 'c', 12, 0.5, 'x')", "rows\n1\n");
    let all = "time,t0,f0,f1,t1\n1970-01-01T00:00:00.000000001,a,4,,\n1970-01-01T00:00:00.000000005,b,8,,\n1970-01-01T00:00:00.000000009,c,12,0.5,x\n";
    check(&gate, "SELECT * FROM t ORDER BY time", all);
    gate.kill_and_restart();
    done(
        &gate,
        &["ALTER TABLE t DROP f0", "ALTER TABLE t ADD FIELD f0 DOUBLE", "ALTER TABLE t RENAME COLUMN f1 TO F9"],
    );
    check(&gate, "SELECT f0, \"F9\" FROM t ORDER BY TIME", "f0,F9\n,\n,\n,0.5\n");
    refused(&gate, "ALTER TABLE t ADD FIELD f0 BIGINT", "010028");
    done(&gate, &["DROP TABLE t", "DROP TABLE IF EXISTS t", "CREATE TABLE t(f0 BIGINT)"]);
    check(&gate, "SELECT count(*) AS n FROM t", "n\n0\n");
    refused(&gate, "CREATE TABLE t(f0 BIGINT)", "030020");
    refused(&gate, "DROP TABLE u", "030019");
}

#[test]
fn fields_may_be_times() {
    let mut gate = gate();
    let time = |seconds: &str| format!("1970-01-01T00:00:{seconds}");
    done(
        &gate,
        &["CREATE DATABASE ms WITH PRECISION 'ms'", "CREATE TABLE ms.t(at TIMESTAMP CODEC(DELTA), n BIGINT, TAGS(g))"],
    );
    refused(&gate, "CREATE TABLE ms.u(at TIMESTAMP CODEC(GZIP))", "010003");
    check(
        &gate,
        "DESCRIBE TABLE ms.t",
        "column_name,data_type,column_type,compression_codec\ntime,TIMESTAMP(MILLISECOND),TIME,DEFAULT\n\
         g,STRING,TAG,DEFAULT\nat,TIMESTAMP(MILLISECOND),FIELD,DELTA\nn,BIGINT,FIELD,DEFAULT\n",
    );
    let insert = "INSERT INTO ms.t (time, g, at, n) VALUES \
        (1, 'a', 1500, 1), (2, 'a', -1000, 2), (3, 'a', NULL, 3), (4, 'b', 59999, 4)";
    check(&gate, insert, "rows\n4\n");
    gate.wait_until_flushed();
    // Cut as the row's own time is.
    check(&gate, "INSERT INTO ms.t (time, g, at) VALUES (5, 'b', '1970-01-01T00:00:02.0015Z')", "rows\n1\n");
    for round in 0..2 {
        check(
            &gate,
            "SELECT at FROM ms.t WHERE n IS NOT NULL ORDER BY time",
            &format!("at\n{}\n1969-12-31T23:59:59.000000000\n\"\"\n{}\n", time("01.500000000"), time("59.999000000")),
        );
        check(
            &gate,
            "SELECT min(at) AS a, max(at) AS b, count(at) AS c FROM ms.t",
            &format!("a,b,c\n1969-12-31T23:59:59.000000000,{},4\n", time("59.999000000")),
        );
        check(&gate, "SELECT n FROM ms.t WHERE AT = 1500 AND time = 1", "n\n1\n");
        check(&gate, "SELECT n FROM ms.t WHERE at > '1970-01-01 00:00:30'", "n\n4\n");
        check(&gate, "SELECT n FROM ms.t WHERE at BETWEEN -1000 AND 0", "n\n2\n");
        check(&gate, "SELECT at - time AS d FROM ms.t WHERE n = 1", "d\nPT1.499S\n");
        let json = gate.ask_sql("d", "SELECT at FROM ms.t WHERE time = 5").header("accept", "application/json").send();
        assert_eq!(json.expect(200).text(), format!(r#"[{{"at":"{}"}}]"#, time("02.001")));
        if round == 0 {
            gate.wait_until_flushed();
            gate.kill_and_restart();
        }
    }
    check(&gate, "UPDATE ms.t SET at = at + INTERVAL '1 second' WHERE n = 1", "rows\n1\n");
    check(&gate, "UPDATE ms.t SET at = 7000 WHERE n = 2", "rows\n1\n");
    check(&gate, "UPDATE ms.t SET g = 'c' WHERE g = 'a'", "rows\n3\n");
    check(
        &gate,
        "SELECT at FROM ms.t WHERE g = 'c' ORDER BY time",
        &format!("at\n{}\n{}\n\"\"\n", time("02.500000000"), time("07.000000000")),
    );
    // Beside a column of the same name that holds numbers, a number is one.
    done(&gate, &["CREATE TABLE u(at BIGINT)", "ALTER TABLE u ADD FIELD later TIMESTAMP"]);
    check(&gate, "INSERT u VALUES (1, 7000, 5)", "rows\n1\n");
    check(&gate, "INSERT u VALUES (2, 8, '2000-01-01')", "rows\n1\n");
    check(&gate, "SELECT later FROM u WHERE at = 8", "later\n2000-01-01T00:00:00.000000000\n");
    check(&gate, "SELECT u.at AS n FROM u JOIN ms.t AS t ON u.time = t.time WHERE u.at = 7000", "n\n");
    refused(&gate, "INSERT u VALUES (1, 2, 'soon')", "010001");
    check(
        &gate,
        "SELECT data_type FROM information_schema.columns WHERE column_name = 'later'",
        "data_type\nTIMESTAMP(NANOSECOND)\n",
    );
    check(&gate, "INSERT INTO u SELECT time, n, at FROM ms.t WHERE g = 'c'", "rows\n3\n");
}

#[test]
fn what_is_null_or_no_time_is_told_apart() {
    let gate = gate();
    done(&gate, &["CREATE TABLE t(f BIGINT, n BIGINT, TAGS(a, b))"]);
    check(&gate, "INSERT INTO t (time, a, b, f) VALUES (1, 'x', 'y', 1), (2, 'x', 'z', 2)", "rows\n2\n");
    // Setting a field to null changes nothing.
    check(&gate, "UPDATE t SET f = NULL WHERE a = 'x'", "rows\n2\n");
    check(&gate, "UPDATE t SET n = CASE WHEN f = 1 THEN 7 END WHERE a = 'x'", "rows\n2\n");
    check(&gate, "UPDATE t SET a = -1 WHERE b = 'z'", "rows\n1\n");
    let (status, _, message) = gate.sql_error("d", "UPDATE t SET a = NULL, b = NULL WHERE a = 'x'");
    assert_eq!((status, message.contains("would have no tag any more")), (422, true), "{message}");
    check(
        &gate,
        "SELECT * FROM t ORDER BY time",
        "time,a,b,f,n\n1970-01-01T00:00:00.000000001,x,y,1,7\n1970-01-01T00:00:00.000000002,-1,z,2,\n",
    );
    refused(&gate, "INSERT INTO t (time, a, f) VALUES (0.1, 'x', 1)", "010005");
    refused(&gate, "INSERT INTO t (time, a, f) VALUES (3, 'x', NULL)", "050034");
    done(&gate, &["ALTER TABLE t ADD TAG c", "ALTER TABLE t ADD FIELD o DOUBLE"]);
    let names = "column_name,data_type,column_type,compression_codec\ntime,TIMESTAMP(NANOSECOND),TIME,DEFAULT\n";
    let columns = "a,STRING,TAG,DEFAULT\nb,STRING,TAG,DEFAULT\nf,BIGINT,FIELD,DEFAULT\nn,BIGINT,FIELD,DEFAULT\nc,STRING,TAG,DEFAULT\no,DOUBLE,FIELD,DEFAULT\n";
    check(&gate, "DESCRIBE TABLE t", &format!("{names}{columns}"));
    check(&gate, "SELECT T.f FROM t AS T WHERE t.A = 'x'", "f\n1\n");
}

#[test]
fn options_are_shown_as_they_are_understood() {
    let gate = gate();
    done(&gate, &["CREATE DATABASE e WITH TTL='1000000d' max_memcache_size '300M' WAL_MAX_FILE_SIZE = '2MiB'"]);
    let head = "ttl,shard,vnode_duration,replica,precision,max_memcache_size,memcache_partitions,wal_max_file_size,wal_sync,strict_write,max_cache_readers\n";
    check(
        &gate,
        "DESCRIBE DATABASE e",
        &format!("{head}INF,1,1year,1,NS,286.102294921875 MiB,16,2 MiB,false,false,32\n"),
    );
}

#[test]
fn a_database_dropped_for_later_is_hidden_until_it_goes_or_is_recovered() {
    let mut gate = gate();
    let databases = |gate: &Gate| gate.sql("public", "SHOW DATABASES").contains("\nd\n");
    done(&gate, &["CREATE TABLE t(f BIGINT)"]);
    check(&gate, "INSERT INTO t (time, f) VALUES (1, 1)", "rows\n1\n");
    done(&gate, &["DROP DATABASE d AFTER '1h'", "DROP DATABASE IF EXISTS none AFTER '1h'"]);
    refused(&gate, "DROP DATABASE none AFTER '1h'", "030017");
    refused(&gate, "DROP DATABASE public AFTER '1h'", "010065");
    for _ in 0..2 {
        assert!(!databases(&gate));
        refused(&gate, "SELECT * FROM t", "030017");
        refused(&gate, "CREATE TABLE u(f BIGINT)", "030017");
        refused(&gate, "CREATE DATABASE d", "030018");
        refused(&gate, "CREATE DATABASE IF NOT EXISTS d", "030018");
        let written = gate.post("/api/v1/write?db=d", "t f=2i 2").at(Listener::Cnosdb).send().expect(422);
        assert_eq!(written.cnosdb_error().0, "030017");
        gate.post("/write?db=d", "t f=2i 2").at(Listener::Influxdb).send().expect(404);
        let shown = gate.get("/query?q=SHOW+DATABASES").at(Listener::Influxdb).send().expect(200);
        assert!(!shown.text().contains("\"d\""), "{}", shown.text());
        gate.kill_and_restart();
    }
    done(&gate, &["RECOVER DATABASE d", "RECOVER DATABASE d", "RECOVER DATABASE IF EXISTS none"]);
    refused(&gate, "RECOVER DATABASE none", "030017");
    assert!(databases(&gate));
    check(&gate, "SELECT f FROM t", "f\n1\n");
    // Another time in place of the first, and none at all.
    done(&gate, &["DROP DATABASE d AFTER '10'", "DROP DATABASE d AFTER '1ms'"]);
    eventually("the database is dropped", || gate.ask_sql("public", "CREATE DATABASE d").send().status == 200);
    refused(&gate, "SELECT f FROM t", "030019");
    done(&gate, &["DROP DATABASE d AFTER '3m'", "DROP DATABASE d", "CREATE DATABASE d"]);
}

#[test]
fn updates_write_newer_values_and_move_series() {
    let gate = gate();
    done(&gate, &["CREATE TABLE t(f0 BIGINT, f1 DOUBLE, TAGS(t0, t1))"]);
    check(
        &gate,
        "INSERT INTO t VALUES (1, 'a', 'x', 1, 0.5), (2, 'a', NULL, 2, NULL), (3, 'b', 'x', 3, 2.5)",
        "rows\n3\n",
    );
    check(&gate, "UPDATE t SET f1 = f1 + 100, f0 = 7 WHERE f1 > 1", "rows\n1\n");
    check(&gate, "UPDATE t SET t0 = 'moved' WHERE t0 = 'a' AND t1 = 'x'", "rows\n1\n");
    let expected = "t0,t1,f0,f1\nmoved,x,1,0.5\na,,2,\nb,x,7,102.5\n";
    check(&gate, "SELECT t0, t1, f0, f1 FROM t ORDER BY time", expected);
    gate.wait_until_flushed();
    check(&gate, "SELECT t0, t1, f0, f1 FROM t ORDER BY time", expected);
    check(&gate, "UPDATE t SET t1 = NULL WHERE t0 = 'nobody'", "rows\n0\n");
    refused(&gate, "UPDATE t SET t1 = 'x' WHERE time = 1", "010010");
    refused(&gate, "UPDATE t SET t1 = 'x', f0 = 1 WHERE t0 = 'b'", "010010");
    refused(&gate, "UPDATE t SET f0 = 1", "010010");
    refused(&gate, "UPDATE t SET t1 = 'y' WHERE t0 = 'b' AND random() < 2", "010010");
    let deeper = "UPDATE t SET t1 = 'y' WHERE t0 IN (SELECT t0 FROM t WHERE random() < 2)";
    refused(&gate, deeper, "010010");
    check(&gate, "UPDATE t SET f0 = 7 WHERE t0 = 'b' AND random() < 2", "rows\n1\n");
    check(&gate, "UPDATE t AS x SET f0 = x.f0 + 0 WHERE x.t0 = 'b'", "rows\n1\n");
    assert_eq!(gate.sql_error("d", "UPDATE t x SET f0 = 7 WHERE t.t0 = 'b'").0, 422);
    // A series cannot become one that moves as well.
    assert_eq!(gate.sql_error("d", "UPDATE t SET t0 = 'b' WHERE t1 = 'x'").0, 422);
    check(&gate, "SELECT t0, t1, f0, f1 FROM t ORDER BY time", expected);
    // Nor can two become one that would have two rows of one time.
    done(&gate, &["CREATE TABLE u(f BIGINT, TAGS(g))"]);
    check(&gate, "INSERT INTO u VALUES (1, 'a', 1), (1, 'b', 2), (2, 'c', 3)", "rows\n3\n");
    assert_eq!(gate.sql_error("d", "UPDATE u SET g = 'one' WHERE g IN ('a', 'b')").0, 422);
    check(&gate, "UPDATE u SET g = 'one' WHERE g IN ('a', 'c')", "rows\n2\n");
    check(&gate, "SELECT g, f FROM u ORDER BY f", "g,f\none,1\nb,2\none,3\n");
}

#[test]
fn no_point_is_lost_that_comes_while_its_series_moves() {
    const POINTS: usize = 40;
    let gate = gate();
    done(&gate, &["CREATE TABLE t(f BIGINT, TAGS(g))"]);
    for round in 0..8 {
        let write = |time: usize| gate.write("d", &format!("t,g=old{round} f=1i {time}"));
        write(0);
        std::thread::scope(|scope| {
            scope.spawn(|| (1..POINTS).for_each(write));
            // Refused or not: what matters is what is there afterwards.
            for _ in 0..4 {
                let statement = format!("UPDATE t SET g = 'new{round}' WHERE g = 'old{round}'");
                gate.post("/api/v1/sql?db=d", statement).at(Listener::Cnosdb).send();
            }
        });
        let question = format!("SELECT count(DISTINCT time) AS n FROM t WHERE g IN ('old{round}', 'new{round}')");
        check(&gate, &question, &format!("n\n{POINTS}\n"));
    }
}

#[test]
fn deletes_take_what_they_mean_and_leave_what_is_written_later() {
    let gate = gate();
    done(&gate, &["CREATE TABLE t(f BIGINT, TAGS(a))"]);
    check(&gate, "INSERT INTO t VALUES (1, 'x', 1), (2, 'x', 2), (3, 'y', 3), (4, NULL, 4)", "rows\n4\n");
    done(&gate, &["DELETE FROM t WHERE a = 'x' AND time >= 2"]);
    check(&gate, "SELECT f FROM t ORDER BY f", "f\n1\n3\n4\n");
    done(&gate, &["DELETE FROM t WHERE a IS NULL"]);
    check(&gate, "INSERT INTO t VALUES (2, 'x', 22)", "rows\n1\n");
    check(&gate, "SELECT f FROM t ORDER BY f", "f\n1\n3\n22\n");
    refused(&gate, "DELETE FROM t WHERE f = 1", "010005");
    refused(&gate, "DELETE FROM t WHERE NOT f = 1", "010005");
    done(&gate, &["DELETE FROM t"]);
    check(&gate, "SELECT f FROM t", "f\n");
}

#[test]
fn deletes_may_say_what_they_leave_and_count_from_now() {
    let gate = gate();
    done(&gate, &["CREATE TABLE t(f BIGINT, TAGS(a))"]);
    let fill = "INSERT INTO t SELECT now() - INTERVAL '3 hours', 'x', 1 UNION ALL SELECT now() - INTERVAL '1 hour', 'x', 2 UNION ALL SELECT now() - INTERVAL '3 hours', 'y', 3 UNION ALL SELECT now(), NULL, 4";
    check(&gate, fill, "rows\n4\n");
    done(&gate, &["DELETE FROM t WHERE NOT (a = 'y') AND time < now() - INTERVAL '2 hours'"]);
    check(&gate, "SELECT f FROM t ORDER BY f", "f\n2\n3\n4\n");
    // The row without the tag is not unlike it.
    done(&gate, &["DELETE FROM t WHERE NOT a = 'x'"]);
    check(&gate, "SELECT f FROM t ORDER BY f", "f\n2\n4\n");
    done(&gate, &["DELETE FROM t WHERE NOT (time > now() OR a IS NOT NULL)"]);
    check(&gate, "SELECT f FROM t ORDER BY f", "f\n2\n");
}

#[test]
fn rows_that_cannot_be_stored_are_refused() {
    let gate = gate();
    done(&gate, &["CREATE TABLE t(f DOUBLE, n BIGINT, TAGS(a))"]);
    refused(&gate, "INSERT INTO t (time, a) VALUES (1, 'x')", "050034");
    refused(&gate, "INSERT INTO t (time, f) VALUES (1, NULL)", "050034");
    refused(&gate, "INSERT INTO t (time, f) VALUES (1)", "010045");
    refused(&gate, "INSERT INTO t (time, f) SELECT 1", "010045");
    refused(&gate, "INSERT INTO u (time, f) VALUES (1, 1)", "030019");
    for statement in [
        "INSERT INTO t (f) VALUES (1)",
        "INSERT INTO t (time, f) VALUES (NULL, 1)",
        "INSERT INTO t (time, f) VALUES (1, 'word')",
        "INSERT INTO t (time, g) VALUES (1, 1)",
        "INSERT INTO t (time, n) VALUES ('noon', 1)",
    ] {
        assert_eq!(gate.sql_error("d", statement).0, 422, "{statement}");
    }
    check(&gate, "INSERT INTO t (time, f) SELECT TIMESTAMP '1970-01-01T00:00:01', 1", "rows\n1\n");
    check(&gate, "INSERT INTO t (time, f) VALUES ('2024-05-01T12:00:00+02:00', 2)", "rows\n1\n");
    check(&gate, "SELECT time FROM t WHERE f = 2", "time\n2024-05-01T10:00:00.000000000\n");
}

#[test]
fn options_of_databases_are_kept_shown_and_go_with_them() {
    let mut gate = gate();
    done(
        &gate,
        &[
            "CREATE DATABASE o WITH TTL '10d' SHARD 5 PRECISION 'us' STRICT_WRITE 'true'",
            "ALTER DATABASE o SET SHARD 6",
        ],
    );
    gate.kill_and_restart();
    let head = "ttl,shard,vnode_duration,replica,precision,max_memcache_size,memcache_partitions,wal_max_file_size,wal_sync,strict_write,max_cache_readers\n";
    check(&gate, "DESCRIBE DATABASE o", &format!("{head}10days,6,1year,1,US,128 MiB,16,128 MiB,false,true,32\n"));
    gate.post("/api/v1/write?db=o", "new v=1").at(Listener::Cnosdb).send().expect(422);
    done(&gate, &["DROP DATABASE o", "CREATE DATABASE o"]);
    check(&gate, "DESCRIBE DATABASE o", &format!("{head}INF,1,1year,1,NS,128 MiB,16,128 MiB,false,false,32\n"));
    // As short as it may be made with.
    done(&gate, &["ALTER DATABASE o SET TTL '30m'"]);
    gate.kill_and_restart();
    check(&gate, "DESCRIBE DATABASE o", &format!("{head}30m,1,1year,1,NS,128 MiB,16,128 MiB,false,false,32\n"));
    let (_, code, _) = gate.sql_error("d", "DROP DATABASE usage_schema");
    assert_eq!(code, "010065");
}

#[test]
fn a_strict_database_takes_points_of_known_tables_and_columns_at_every_door() {
    let gate = gate();
    done(&gate, &["CREATE DATABASE o WITH STRICT_WRITE 'true'", "CREATE TABLE o.t (f DOUBLE, n BIGINT, TAGS(g))"]);
    let (ours, theirs) = (Listener::Cnosdb, Listener::Influxdb);
    let put = |metric: &str| format!(r#"[{{"metric":"{metric}","timestamp":1,"value":1,"tags":{{"g":"a"}}}}]"#);
    let bulk = |document: &str| format!("{{\"index\":{{}}}}\n{document}\n");
    for (listener, path, body, status) in [
        (ours, "/api/v1/write?db=o", "t,g=a f=1 1".to_string(), 200),
        (ours, "/api/v1/write?db=o", "t,g=a f=1,x=1 2".to_string(), 422),
        (ours, "/api/v1/write?db=o", "t,h=a f=1 2".to_string(), 422),
        (ours, "/api/v1/write?db=o", "u,g=a f=1 2".to_string(), 422),
        (ours, "/api/v1/opentsdb/put?db=o", put("u"), 422),
        (ours, "/api/v1/es/write?db=o&table=u", bulk(r#"{"f":1}"#), 422),
        (ours, "/api/v1/es/write?db=o&table=t", bulk(r#"{"x":1}"#), 422),
        (theirs, "/write?db=o", "t,g=a f=2 3".to_string(), 204),
        (theirs, "/write?db=o", "u,g=a f=2 4".to_string(), 400),
    ] {
        gate.post(path, body.clone()).at(listener).send().expect(status);
    }
    check(&gate, "SELECT f FROM o.t ORDER BY time", "f\n1.0\n2.0\n");
    check(&gate, "SHOW TABLES ON o", "table_name\nt\n");
    assert_eq!(gate.sql("o", "DESCRIBE TABLE t").lines().count(), 5);
}

#[test]
fn the_catalog_and_the_tags_of_tables_can_be_looked_at() {
    let gate = gate();
    gate.write("d", "t,a=x,b=y f=1 1\nt,a=x f=1 2\nt,b=it's f=1 3");
    check(&gate, "SHOW SERIES FROM t ORDER BY key", "key\n\"t,a=x\"\n\"t,a=x,b=y\"\n\"t,b=it's\"\n");
    check(&gate, "SHOW SERIES FROM t WHERE time > 1 AND b = 'it''s'", "key\n\"t,b=it's\"\n");
    check(&gate, "SHOW TAG VALUES FROM t WITH KEY NOT IN (a) ORDER BY value DESC LIMIT 1", "key,value\nb,y\n");
    refused(&gate, "SHOW SERIES FROM t WHERE f = 1", "010046");
    let columns = "SELECT column_name, column_type, data_type FROM information_schema.columns WHERE database_name = 'd' ORDER BY ordinal_position";
    check(
        &gate,
        columns,
        "column_name,column_type,data_type\ntime,TIME,TIMESTAMP(NANOSECOND)\na,TAG,STRING\nb,TAG,STRING\nf,FIELD,DOUBLE\n",
    );
    check(&gate, "SELECT table_name FROM information_schema.TABLES WHERE table_database = 'd'", "table_name\nt\n");
}

#[test]
fn functions_over_time_see_rows_in_its_order_and_fill_its_gaps() {
    let gate = gate();
    gate.write("d", "t,a=x f=4,n=1i 0\nt,a=x f=20,n=9i 40000000000\nt,a=x f=8,n=3i 10000000000\nt,a=y f=5,n=2i 10000000000\nt,a=y f=7,n=1i 30000000000");
    check(
        &gate,
        "SELECT a, first(time, f) AS f, last(TIME, n) AS l, increase(time, n ORDER BY time) AS i FROM t GROUP BY a ORDER BY a",
        "a,f,l,i\nx,4.0,9,8\ny,5.0,1,1\n",
    );
    check(
        &gate,
        "SELECT delta(gauge_agg(time, f)) AS d, idelta_left(gauge_agg(time, f)) AS l FROM t WHERE a = 'x'",
        "d,l\n16.0,4.0\n",
    );
    let start = |seconds: u32| format!("1970-01-01T00:00:{seconds:02}.000000000");
    let windows = |values: [&str; 5]| -> String {
        values.iter().zip([0, 10, 20, 30, 40]).map(|(value, at)| format!("{},{value}\n", start(at))).collect()
    };
    let ask = |value: &str, a: &str| {
        format!(
            "SELECT time_window_gapfill(time, INTERVAL '10 seconds') AS w, {value} AS v FROM t WHERE a = '{a}' AND time >= 0 AND time < 50000000000 GROUP BY w ORDER BY w"
        )
    };
    check(&gate, &ask("locf(avg(f))", "x"), &format!("w,v\n{}", windows(["4.0", "8.0", "8.0", "8.0", "20.0"])));
    check(&gate, &ask("interpolate(avg(f))", "y"), &format!("w,v\n{}", windows(["", "5.0", "6.0", "7.0", ""])));
    check(&gate, &ask("count(f)", "y"), &format!("w,v\n{}", windows(["", "1", "", "1", ""])));
    let sliding = "SELECT time_window(time, '20s', '10s') AS w, f FROM t WHERE time = 10000000000 AND a = 'x'";
    let window = |from: u32, to: u32| format!("\"{{start: {}, end: {}}}\",8.0\n", start(from), start(to));
    check(&gate, sliding, &format!("w,f\n{}{}", window(0, 20), window(10, 30)));
}
