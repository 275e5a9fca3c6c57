//! INSERT and DELETE.

use crate::query::tdsql::ast::{Delete, Insert, InsertPart, InsertRows, InsertValue, MomentBase, Statement, Using};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::lexer::Token;

use super::{Parsed, Parser};

impl Parser<'_> {
    pub(super) fn insert(&mut self) -> Parsed<Statement> {
        self.next();
        self.accept("into");
        let mut parts = vec![self.insert_part()?];
        while !matches!(self.peek(), Token::End | Token::Sign(";")) {
            self.accept_sign(",");
            parts.push(self.insert_part()?);
        }
        Ok(Statement::Insert(Insert { parts }))
    }

    fn insert_part(&mut self) -> Parsed<InsertPart> {
        let table = self.table_name()?;
        let mut columns = None;
        if self.is_sign("(") {
            columns = Some(self.names_in_brackets()?);
        }
        let using = if self.accept("using") { Some(self.using()?) } else { None };
        if self.is_sign("(") && columns.is_none() {
            columns = Some(self.names_in_brackets()?);
        }
        if self.is("select") {
            let query = Box::new(self.query()?);
            return Ok(InsertPart { table, using, columns, rows: InsertRows::Query(query) });
        }
        if self.is("file") {
            return Err(TdError::NotSupported("INSERT from a file of the server".to_string()));
        }
        self.expect("values")?;
        let mut rows = Vec::new();
        while self.is_sign("(") || (self.is_sign(",") && self.is_sign_ahead(1, "(")) {
            self.accept_sign(",");
            rows.push(self.values_in_brackets()?);
        }
        if rows.is_empty() {
            return Err(self.unexpected());
        }
        Ok(InsertPart { table, using, columns, rows: InsertRows::Values(rows) })
    }

    /// What follows USING.
    pub(super) fn using(&mut self) -> Parsed<Using> {
        let table = self.table_name()?;
        let tag_names = if self.is_sign("(") { Some(self.names_in_brackets()?) } else { None };
        self.expect("tags")?;
        Ok(Using { table, tag_names, tags: self.values_in_brackets()? })
    }

    fn values_in_brackets(&mut self) -> Parsed<Vec<InsertValue>> {
        self.expect_sign("(")?;
        let values = self.list(Self::value)?;
        self.expect_sign(")")?;
        Ok(values)
    }

    pub(super) fn value(&mut self) -> Parsed<InsertValue> {
        let negative = self.accept_sign("-");
        let signed = negative || self.accept_sign("+");
        let base = match self.peek() {
            Token::Number(digits) => {
                let number = if negative { format!("-{digits}") } else { digits.clone() };
                self.next();
                if !self.shift_follows() {
                    return Ok(InsertValue::Number(number));
                }
                let moment = number.parse().map_err(|_| self.unexpected())?;
                MomentBase::Number(moment)
            }
            _ if signed => return Err(self.unexpected()),
            Token::Text(_) => {
                let text = self.text_literal()?;
                if !self.shift_follows() {
                    return Ok(InsertValue::Text(text));
                }
                MomentBase::Text(text)
            }
            Token::Word(word) => {
                let word = word.clone();
                let value = match word.as_str() {
                    "null" => Some(InsertValue::Null),
                    "true" => Some(InsertValue::Bool(true)),
                    "false" => Some(InsertValue::Bool(false)),
                    "now" | "today" => None,
                    // What has no finite number is null when it is read back.
                    "nan" | "inf" | "infinity" => Some(InsertValue::Null),
                    _ => return Err(self.unexpected()),
                };
                self.next();
                if let Some(value) = value {
                    return Ok(value);
                }
                if self.accept_sign("(") {
                    self.expect_sign(")")?;
                }
                if word == "now" { MomentBase::Now } else { MomentBase::Today }
            }
            _ => return Err(self.unexpected()),
        };
        let mut shifts = Vec::new();
        while self.shift_follows() {
            let sign = if self.accept_sign("-") { -1 } else { 1 };
            self.accept_sign("+");
            match self.next() {
                Token::Duration(duration) => shifts.push((sign, duration)),
                _ => return Err(self.unexpected()),
            }
        }
        Ok(InsertValue::Moment { base, shifts })
    }

    fn shift_follows(&self) -> bool {
        (self.is_sign("+") || self.is_sign("-")) && matches!(self.peek_at(1), Token::Duration(_))
    }

    pub(super) fn delete(&mut self) -> Parsed<Statement> {
        self.next();
        self.expect("from")?;
        let table = self.table_name()?;
        let condition = if self.accept("where") { Some(self.expr()?) } else { None };
        Ok(Statement::Delete(Delete { table, condition }))
    }
}
