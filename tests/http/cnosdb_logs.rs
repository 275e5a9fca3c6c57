//! CnosDB's endpoints for log documents: two generations of one form.

use tidegate::config::Listener;

use crate::http_gate::{Answer, Gate};

fn send(gate: &Gate, path: &str, body: &str) -> Answer {
    gate.post(path, body).at(Listener::Cnosdb).send()
}

#[test]
fn a_repeated_create_ends_the_request_and_what_came_before_stays() {
    let gate = Gate::start();
    let body = "{\"index\":{}}\n{\"time\":1,\"v\":1}\n{\"create\":{}}\n{\"time\":2,\"v\":2}\n{\"index\":{}}\n{\"time\":3,\"v\":3}\n";
    let answer = send(&gate, "/api/v1/es/write?table=logs", body).expect(200);
    let expected = "The 2th command fails because the table 'logs' already exists and cannot be created repeatedly\n";
    assert_eq!(answer.text(), expected);
    assert_eq!(gate.sql("public", "SELECT v FROM logs"), "v\n1.0\n");
    assert_eq!(
        send(&gate, "/api/v1/es/write?table=logs", "{\"index\":{}}\n{\"time\":4,\"v\":4}").expect(200).text(),
        ""
    );
    assert_eq!(gate.sql("public", "SELECT count(*) AS n FROM logs"), "n\n2\n");
}

#[test]
fn a_document_without_fields_is_told_beside_its_neighbours_and_bad_json_refuses_all() {
    let gate = Gate::start();
    let path = "/api/v1/es/_bulk?table=logs&tag_columns=host";
    let body =
        "{\"create\":{}}\n{\"host\":\"a\",\"msg\":\"x\",\"list\":[{\"n\":1},2]}\n{\"index\":{}}\n{\"host\":\"b\"}\n";
    let answer = send(&gate, path, body).expect(200).json();
    assert_eq!(answer["errors"], true);
    assert_eq!(
        (&answer["items"][0]["create"]["status"], &answer["items"][1]["index"]["status"]),
        (&201.into(), &400.into())
    );
    assert_eq!(
        gate.sql("public", "SELECT host, msg, \"list.0.n\", \"list.1\" FROM logs"),
        "host,msg,list.0.n,list.1\na,x,1.0,2.0\n"
    );
    let refused = send(&gate, path, "{\"index\":{}}\n{\"msg\":\"y\"}\n{\"index\":{}}\n{\"msg\":").expect(422);
    assert_eq!(refused.cnosdb_error().0, "040016");
    let refused = send(&gate, path, "{\"index\":{}}\n{\"msg\":\"y\",\"list.1\":\"word\"}").expect(422);
    assert_eq!(refused.cnosdb_error().1, "DataSchemaError: Column 'list.1' type error, found \"word\" expected DOUBLE");
    assert_eq!(gate.sql("public", "SELECT count(*) AS n FROM logs"), "n\n1\n");
}
