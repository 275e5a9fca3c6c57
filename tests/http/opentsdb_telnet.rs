//! OpenTSDB's line protocol on the port of its HTTP API.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use tidegate::config::Listener;

use crate::http_gate::{Gate, PATIENCE, eventually};

fn connect(gate: &Gate) -> TcpStream {
    gate.connect(Listener::Opentsdb)
}

/// What comes back for `text` until the connection is closed, which our side does first.
fn say(gate: &Gate, text: &str) -> String {
    let mut stream = connect(gate);
    stream.write_all(text.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// One line of an answer.
fn line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

fn count(gate: &Gate, metric: &str) -> String {
    gate.sql("opentsdb", &format!("select count(*) as n from \"{metric}\""))
}

#[test]
fn points_are_stored_in_silence_and_bad_lines_are_answered() {
    let gate = Gate::start();
    assert_eq!(say(&gate, "put m 1 42 host=a\nput m 2 4.5 host=a\r\n"), "");
    assert_eq!(
        gate.sql("opentsdb", "select host, value, value_int from m order by time"),
        "host,value,value_int\na,42.0,42\na,4.5,\n"
    );
    assert_eq!(
        say(&gate, "put m x 1 host=a\nput m 3 1 host=a\nnonsense\n\nput m 4 1\n"),
        "put: invalid value: Invalid character 'x' in x\n\
         unknown command: nonsense.  Try `help'.\n\
         unknown command: .  Try `help'.\n\
         put: illegal argument: not enough arguments (need least 4, got 3)\n"
    );
    assert_eq!(count(&gate, "m"), "n\n3\n");
}

#[test]
fn commands_other_than_put_are_answered_in_order() {
    let gate = Gate::start();
    let answer = say(&gate, "version\ndropcaches\nhelp\nput m 1 1 a=b\nstats\nexit\nversion\n");
    let lines: Vec<&str> = answer.lines().collect();
    assert!(lines[0].contains(" built at revision ") && lines[1].starts_with("Built "), "{answer}");
    assert_eq!(lines[2], "Caches dropped.");
    assert!(lines[3].starts_with("available commands: ") && lines[3].contains(" put "), "{answer}");
    assert!(lines[4..].iter().all(|line| line.starts_with("tsd.")), "{answer}");
    assert!(lines.len() > 8, "{answer}");
}

#[test]
fn the_first_byte_of_a_connection_decides() {
    let gate = Gate::start();
    // A line in capitals is taken for HTTP.
    let answer = say(&gate, "PUT m 1 1 a=b\n");
    assert!(answer.starts_with("HTTP/1.1 400") || answer.is_empty(), "{answer:?}");
    // HTTP may say its first byte late, and then the rest.
    let mut stream = connect(&gate);
    for part in ["G", "ET /api/version HT", "TP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"] {
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(part.as_bytes()).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with('}'), "{answer}");
    // And so may lines.
    let mut stream = connect(&gate);
    std::thread::sleep(Duration::from_millis(50));
    for byte in "version\n".bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    assert!(line(&mut stream).contains(" built at "));
}

#[test]
fn a_client_that_does_not_hang_up_after_http_is_left() {
    let gate = Gate::with(&[("server.client_disconnect_timeout_ms", "300"), ("server.max_connections", "2")]);
    let mut kept = Vec::new();
    // More of them than there is room for.
    for _ in 0..5 {
        let mut stream = connect(&gate);
        stream.write_all(b"GET /api/version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        kept.push(stream);
    }
}

#[test]
fn a_line_that_is_too_long_is_dropped_and_the_connection_stays() {
    let gate = Gate::start();
    let mut stream = connect(&gate);
    let long = format!("put m 1 1 a={}\n", "x".repeat(2_000));
    stream.write_all(format!("{long}put m 2 2 a=b\nversion\n").as_bytes()).unwrap();
    assert!(line(&mut stream).contains(" built at "));
    assert_eq!(gate.sql("opentsdb", "select value from m"), "value\n2.0\n");
}

#[test]
fn a_line_that_is_not_whole_is_no_line() {
    let gate = Gate::start();
    assert_eq!(say(&gate, "put m 1 1 a=b\nput m 2 2 a=b"), "");
    assert_eq!(count(&gate, "m"), "n\n1\n");
}

#[test]
fn a_silent_connection_is_closed() {
    let gate = Gate::with(&[("server.client_idle_timeout_secs", "1")]);
    let mut silent = connect(&gate);
    let mut spoke = connect(&gate);
    spoke.write_all(b"version\n").unwrap();
    for stream in [&mut silent, &mut spoke] {
        let since = Instant::now();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(since.elapsed() < PATIENCE);
    }
}

#[test]
fn many_connections_are_stored_together_and_each_line_once() {
    let gate = Gate::start();
    let (connections, lines) = (20, 500);
    std::thread::scope(|scope| {
        for connection in 0..connections {
            let gate = &gate;
            scope.spawn(move || {
                let mut stream = connect(gate);
                for at in 0..lines {
                    let text = format!("put many {} {at} c=c{connection}\n", 1_356_998_400 + at);
                    stream.write_all(text.as_bytes()).unwrap();
                }
                stream.write_all(b"version\n").unwrap();
                line(&mut stream);
            });
        }
    });
    assert_eq!(count(&gate, "many"), format!("n\n{}\n", connections * lines));
}

#[test]
fn a_client_that_never_reads_is_served_all_the_same() {
    let gate = Gate::start();
    let mut stream = connect(&gate);
    let bad = "put m 1 nonsense a=b\n".repeat(1_000);
    for _ in 0..300 {
        stream.write_all(bad.as_bytes()).unwrap();
    }
    stream.write_all(b"put m 1 1 a=b\n").unwrap();
    eventually("the point is stored", || {
        gate.ask_sql("opentsdb", "select count(*) as n from m").send().text() == "n\n1\n"
    });
}

#[test]
fn lines_that_were_read_survive_a_stop() {
    let mut gate = Gate::start();
    let mut stream = connect(&gate);
    let mut sent = 0;
    for batch in 0..50 {
        let text: String = (0..100).map(|at| format!("put s {} 1 a=b\n", 1_356_998_400 + batch * 100 + at)).collect();
        stream.write_all(text.as_bytes()).unwrap();
        sent += 100;
    }
    stream.write_all(b"version\n").unwrap();
    line(&mut stream);
    gate.ask_to_stop();
    assert!(gate.wait_for_exit().success());
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    gate.start_again();
    assert_eq!(count(&gate, "s"), format!("n\n{sent}\n"));
}

#[test]
fn lines_are_not_taken_where_clients_must_say_who_they_are() {
    let settings = [("auth.enabled", "true"), ("auth.admin_user", "root"), ("auth.admin_password", "secret")];
    let gate = Gate::with(&settings);
    let mut stream = connect(&gate);
    stream.write_all(b"p").unwrap();
    assert!(line(&mut stream).starts_with("authentication required"));
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(rest, b"");
}
