//! Bodies of CnosDB's log endpoint: commands and documents in pairs, or documents alone.

use serde_json::Value as Json;

/// What a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// A row of a table that is made when it is missing.
    Index,
    /// The first row of a table; what that means for one that exists is the endpoint's to say.
    Create,
}

/// One document with its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    pub command: Command,
    pub document: &'a [u8],
}

/// Why a body cannot be read. Lines count from 1, empty ones left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinesError {
    #[error("the number of lines must be even, a command before each document, found {lines}")]
    Odd { lines: usize },
    #[error("the request has more than {max} documents; send them in smaller parts")]
    TooMany { max: usize },
    #[error("line {line} is no command such as {{\"index\":{{}}}}: {what}")]
    Command { line: usize, what: String },
}

/// Pairs, `max` at most, of a command (`{"index":{}}` or `{"create":{}}`; what is inside is ignored) and a document.
pub fn pairs(body: &[u8], max: usize) -> Result<Vec<Line<'_>>, LinesError> {
    let lines: Vec<&[u8]> = solid_lines(body).take(2 * max + 1).collect();
    if lines.len() > 2 * max {
        return Err(LinesError::TooMany { max });
    }
    if lines.len() % 2 == 1 {
        return Err(LinesError::Odd { lines: lines.len() });
    }
    lines
        .chunks_exact(2)
        .enumerate()
        .map(|(pair, lines)| Ok(Line { command: command(lines[0], 2 * pair + 1)?, document: lines[1] }))
        .collect()
}

/// A document a line, `max` at most.
pub fn alone(body: &[u8], max: usize) -> Result<Vec<Line<'_>>, LinesError> {
    let of = |document| Line { command: Command::Index, document };
    let lines: Vec<_> = solid_lines(body).map(of).take(max + 1).collect();
    if lines.len() > max { Err(LinesError::TooMany { max }) } else { Ok(lines) }
}

fn solid_lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

fn command(bytes: &[u8], line: usize) -> Result<Command, LinesError> {
    let refuse = |what: &str| LinesError::Command { line, what: what.to_string() };
    let json: Json = serde_json::from_slice(bytes).map_err(|error| refuse(&error.to_string()))?;
    let Json::Object(keys) = &json else { return Err(refuse("it is no object")) };
    match keys.keys().map(String::as_str).collect::<Vec<_>>()[..] {
        ["index"] => Ok(Command::Index),
        ["create"] => Ok(Command::Create),
        [other] => Err(refuse(&format!("unknown command {other:?}"))),
        _ => Err(refuse("it has not exactly one key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_documents_come_in_pairs() {
        let body = b"\n {\"create\":{\"_id\":\"1\"}}\r\n\n  {\"a\":1}\n{\"index\":{}}\nanything";
        let lines = pairs(body, 2).unwrap();
        assert_eq!(
            lines,
            [
                Line { command: Command::Create, document: b"{\"a\":1}" },
                Line { command: Command::Index, document: b"anything" }
            ]
        );
        assert_eq!(pairs(b" \n", 2), Ok(vec![]));
    }

    #[test]
    fn what_is_no_pair_of_lines_is_refused() {
        assert_eq!(pairs(b"{\"index\":{}}\n1\n2", 2), Err(LinesError::Odd { lines: 3 }));
        for (line, what) in [
            ("{\"delete\":{}}", "unknown command \"delete\""),
            ("[]", "it is no object"),
            ("{}", "it has not exactly one key"),
            ("{\"index\":{},\"create\":{}}", "it has not exactly one key"),
            ("{", "EOF while parsing an object at line 1 column 1"),
        ] {
            let body = format!("{{\"index\":{{}}}}\n1\n{line}\n2");
            assert_eq!(pairs(body.as_bytes(), 2), Err(LinesError::Command { line: 3, what: what.to_string() }));
        }
    }

    #[test]
    fn documents_may_come_alone() {
        let documents: Vec<_> = alone(b"1\n\n 2 \r\n3", 3).unwrap().iter().map(|line| line.document).collect();
        assert_eq!(documents, [b"1", b"2", b"3"]);
    }

    #[test]
    fn what_is_more_than_asked_for_is_not_read() {
        assert_eq!(alone(b"1\n2\n3", 2), Err(LinesError::TooMany { max: 2 }));
        let body = b"{\"index\":{}}\n1\n{\"index\":{}}\n2\nno command";
        assert_eq!(pairs(&body[..body.len() - 11], 2).map(|lines| lines.len()), Ok(2));
        assert_eq!(pairs(body, 2), Err(LinesError::TooMany { max: 2 }));
    }
}
