//! OpenTSDB's points as CnosDB and TDengine's adapter take them: all of a body or nothing.

use tidegate::config::Listener;

use crate::http_gate::{Answer, Ask, Gate};

const ROOT: &str = "Basic cm9vdDp0YW9zZGF0YQ==";

#[test]
fn cnosdb_takes_lines_and_documents() {
    let gate = Gate::start();
    let lines = "m.x 1667456411000000001 0.5 host=a\nm.x 1667456411000000002 -3 host=b dc=x\n";
    let answer = gate.post("/api/v1/opentsdb/write", lines).at(Listener::Cnosdb).send().expect(200);
    assert_eq!(answer.text(), "");
    let document = r#"[{"metric":"m.x","timestamp":1667456411001,"value":7,"tags":{"host":"c"}}]"#;
    gate.post("/api/v1/opentsdb/put?precision=ms", document).send().expect(200);
    assert_eq!(
        gate.sql("public", "select time, host, dc, value from \"m.x\" order by time"),
        "time,host,dc,value\n\
         2022-11-03T06:20:11.000000001,a,,0.5\n\
         2022-11-03T06:20:11.000000002,b,x,-3.0\n\
         2022-11-03T06:20:11.001000000,c,,7.0\n"
    );
}

#[test]
fn cnosdb_refuses_a_whole_body_for_one_point() {
    let gate = Gate::start();
    for (path, body, code) in [
        ("/api/v1/opentsdb/write", "m 1 1 h=a\nm x 1 h=a", "040010"),
        ("/api/v1/opentsdb/put", r#"[{"metric":"m","timestamp":1,"value":1,"tags":{}},{"metric":"m"}]"#, "040011"),
        ("/api/v1/opentsdb/put", "{metric:1}", "040011"),
    ] {
        let answer = gate.post(path, body).send().expect(400);
        let (found, message) = answer.cnosdb_error();
        assert!(found == code && message.starts_with("Error parsing message: "), "{answer}");
    }
    assert_eq!(gate.sql("public", "show tables"), "table_name\n");
    let answer = gate.post("/api/v1/opentsdb/write?db=missing", "m 1 1 h=a").send().expect(422);
    assert_eq!(answer.cnosdb_error().0, "030017", "{answer}");
}

fn taos(gate: &Gate, path: &str, body: &str) -> Ask {
    gate.post(&format!("/opentsdb/v1/put/{path}"), body).at(Listener::Tdengine).header("Authorization", ROOT)
}

#[track_caller]
fn refused(answer: &Answer, status: u16, start: &str) {
    assert_eq!(answer.status, status, "{answer}");
    let json = answer.json();
    assert_eq!(json["code"], status, "{answer}");
    assert!(json["message"].as_str().unwrap().starts_with(start), "{answer}");
}

#[test]
fn tdengines_adapter_takes_lines_and_documents() {
    let gate = Gate::start();
    refused(
        &taos(&gate, "json/td", r#"{"metric":"m","timestamp":1709251200,"value":1,"tags":{}}"#).send(),
        500,
        "Database not exist",
    );
    let make = gate.post("/rest/sql", "create database td precision 'ns'").at(Listener::Tdengine);
    make.header("Authorization", ROOT).send().expect(200);
    let document = r#"{"metric":"sys.cpu","timestamp":1709251200,"value":18,"tags":{"host":"a"}}"#;
    taos(&gate, "json/td", document).send().expect(204);
    taos(&gate, "telnet/td", "put sys.cpu 1709251201500 1.5 host=a\nsys.cpu 1709251202 2 host=b \n").send().expect(204);
    taos(&gate, "json/td", "").send().expect(204);
    assert_eq!(
        gate.sql("td", "select time, host, _value from sys_cpu order by time"),
        "time,host,_value\n\
         2024-03-01T00:00:00.000000000,a,18.0\n\
         2024-03-01T00:00:01.500000000,a,1.5\n\
         2024-03-01T00:00:02.000000000,b,2.0\n"
    );
}

#[test]
fn tdengines_adapter_refuses_in_its_own_words() {
    let gate = Gate::start();
    refused(&taos(&gate, "json/td", "{\"metric\":").send(), 500, "");
    refused(&taos(&gate, "telnet/td", "m 163653962000 1 h=a").send(), 500, "163653962000 is no time");
    refused(&taos(&gate, "json/td?req_id=x", "{}").send(), 400, "illegal param, req_id must be numeric");
    refused(&taos(&gate, "json/td?ttl=x", "{}").send(), 400, "illegal param, ttl must be numeric");
    let ask = || gate.post("/opentsdb/v1/put/json/td", "{}").at(Listener::Tdengine);
    refused(&ask().send(), 401, "auth needed");
    refused(&ask().header("Authorization", "Digest x").send(), 401, "unsupported auth type");
    refused(&ask().header("Authorization", "Basic cm9vdDp3cm9uZw==").send(), 500, "Authentication failure");
}
