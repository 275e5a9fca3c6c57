//! `/api/v1/write`: all of a body or nothing, in CnosDB's words.

use crate::http_gate::Gate;

#[track_caller]
fn refused(gate: &Gate, path: &str, body: impl AsRef<[u8]>, status: u16, code: &str, message: &str) {
    let answer = gate.post(path, body).send().expect(status);
    assert_eq!(answer.cnosdb_error(), (code.to_string(), message.to_string()), "{answer}");
}

#[test]
fn a_body_that_is_stored_answers_two_hundred_and_nothing() {
    let gate = Gate::start();
    for body in ["ma,ta=a fa=1 1", "ma,ta=a fa=1 1\r\nma,ta=b fa=2 2\r\n", "# a comment\n\nma fa=3 3"] {
        let answer = gate.post("/api/v1/write?db=public", body).send().expect(200);
        assert_eq!((answer.text().as_str(), answer.header("content-length")), ("", Some("0")), "{answer}");
    }
    // Without a database the public one is meant.
    gate.post("/api/v1/write", "ma fa=4 4").send().expect(200);
    assert_eq!(gate.sql("public", "select fa from ma order by time"), "fa\n1.0\n2.0\n3.0\n4.0\n");
}

#[test]
fn one_bad_line_refuses_the_whole_body() {
    let gate = Gate::start();
    for bad in ["ma,ta=a", "ma fa=", "ma fa=1 x", "ma fa=1x", ",ta=a fa=1"] {
        for body in [format!("ma fa=1 1\n{bad}\nma fa=2 2"), format!("{bad}\nma fa=1 1"), format!("ma fa=1 1\n{bad}")] {
            let answer = gate.post("/api/v1/write", &body).send().expect(422);
            let (code, message) = answer.cnosdb_error();
            assert_eq!(code, "040004", "{body:?}: {answer}");
            assert!(message.starts_with("Error parsing message: "), "{body:?}: {answer}");
        }
    }
    assert_eq!(gate.sql("public", "show tables"), "table_name\n");
}

#[test]
fn one_point_that_does_not_fit_refuses_the_whole_body() {
    let gate = Gate::start();
    gate.post("/api/v1/write", "ma,ta=a fa=1,fb=1i 1").send().expect(200);
    let type_error = "DataSchemaError: Column 'fa' type error, found BIGINT expected DOUBLE";
    refused(&gate, "/api/v1/write", "ma fa=2 2\nma fa=3i 3", 422, "020004", type_error);
    let tag_as_field = "DataSchemaError: Column 'ta' type error, found FIELD expected TAG";
    refused(&gate, "/api/v1/write", "ma ta=2 2", 422, "020004", tag_as_field);
    let field_as_tag = "DataSchemaError: Column 'fa' type error, found TAG expected FIELD";
    refused(&gate, "/api/v1/write", "ma,fa=x fb=2i 2", 422, "020004", field_as_tag);
    // Also when no table would have been touched but a new one.
    gate.post("/api/v1/write", "mb fa=1 1\nma fa=3i 3").send().expect(422);
    assert_eq!(gate.sql("public", "show tables"), "table_name\nma\n");
    assert_eq!(gate.sql("public", "select ta, fa, fb from ma"), "ta,fa,fb\na,1.0,1\n");
}

#[test]
fn requests_that_cannot_be_served_say_why() {
    let gate = Gate::start();
    let line = "ma fa=1 1";
    refused(&gate, "/api/v1/write?db=missing", line, 422, "030017", "Database not found: \"missing\"");
    for unit in ["s", "h", "nanoseconds"] {
        let answer = gate.post(&format!("/api/v1/write?precision={unit}"), line).send().expect(400);
        assert_eq!(answer.cnosdb_error().0, "040005", "{answer}");
    }
    let answer = gate.post("/api/v1/write", [b'm', b'a', 0xff, b' ']).send().expect(422);
    assert_eq!(answer.cnosdb_error().0, "040015", "{answer}");
    for malformed in ["Bearer abc", "Basic", "Basic !!!", "Basic cm9vdA=="] {
        for path in ["/api/v1/write", "/api/v1/sql"] {
            let answer = gate.post(path, line).header("Authorization", malformed).send().expect(400);
            assert_eq!(answer.cnosdb_error().0, "040006", "{malformed}: {answer}");
        }
    }
    assert_eq!(gate.sql("public", "show tables"), "table_name\n");
    gate.post("/api/v1/write", line).header("Authorization", "Basic cm9vdDphbnk=").send().expect(200);
}

#[test]
fn times_are_in_the_unit_that_was_named_in_any_case() {
    let gate = Gate::start();
    for (i, (unit, expected)) in [
        ("ns", "1970-01-01T00:00:01.700000000"),
        ("US", "1970-01-01T00:28:20.000000000"),
        ("Ms", "1970-01-20T16:13:20.000000000"),
    ]
    .into_iter()
    .enumerate()
    {
        gate.post(&format!("/api/v1/write?precision={unit}"), format!("t{i} f=1 1700000000")).send().expect(200);
        assert_eq!(gate.sql("public", &format!("select time from t{i}")), format!("time\n{expected}\n"), "{unit}");
    }
}

#[test]
fn times_are_cut_to_the_databases_precision() {
    let gate = Gate::start();
    gate.sql("public", "create database us with precision 'us'");
    gate.post("/api/v1/write?db=us", "m f=1 1672301798050000042").send().expect(200);
    assert_eq!(gate.sql("us", "select time from m"), "time\n2022-12-29T08:16:38.050000000\n");
}

#[test]
fn unsigned_numbers_are_a_type_of_their_own() {
    let gate = Gate::start();
    gate.post("/api/v1/write", "m u=18446744073709551615u,i=-9223372036854775808i 1").send().expect(200);
    assert_eq!(gate.sql("public", "select u, i from m"), "u,i\n18446744073709551615,-9223372036854775808\n");
    gate.post("/api/v1/write", "m u=1i 2").send().expect(422);
}

#[test]
fn both_doors_write_into_the_same_tables() {
    let gate = Gate::start();
    gate.post("/api/v1/write", "m,host=a f=1 1").send().expect(200);
    gate.write("public", "m,host=a g=2 1\nm,host=b f=3 2");
    assert_eq!(gate.sql("public", "select host, f, g from m order by time"), "host,f,g\na,1.0,2.0\nb,3.0,\n");
}
