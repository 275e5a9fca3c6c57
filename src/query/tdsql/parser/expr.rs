//! Expressions, by precedence.

use crate::model::DeclaredType;
use crate::query::tdsql::ast::{BinaryOp, Expr};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::lexer::Token;

use super::{CHAINED_WEIGHT, Parsed, Parser};

/// Words that begin a clause and so are no names unless quoted.
pub(super) const RESERVED: [&str; 52] = [
    "select",
    "from",
    "where",
    "partition",
    "group",
    "having",
    "order",
    "limit",
    "slimit",
    "soffset",
    "offset",
    "union",
    "interval",
    "sliding",
    "fill",
    "session",
    "state_window",
    "event_window",
    "count_window",
    "range",
    "every",
    "on",
    "join",
    "inner",
    "left",
    "right",
    "full",
    "outer",
    "and",
    "or",
    "not",
    "in",
    "is",
    "like",
    "match",
    "nmatch",
    "between",
    "case",
    "when",
    "then",
    "else",
    "end",
    "as",
    "asc",
    "desc",
    "nulls",
    "distinct",
    "using",
    "by",
    "set",
    "values",
    "contains",
];

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.nested(Self::any_of)
    }

    fn any_of(&mut self) -> Parsed<Expr> {
        let mut terms = vec![self.all_of()?];
        while self.accept("or") {
            self.operators(1)?;
            terms.push(self.all_of()?);
        }
        Ok(if terms.len() == 1 { terms.swap_remove(0) } else { Expr::Or(terms) })
    }

    fn all_of(&mut self) -> Parsed<Expr> {
        let mut terms = vec![self.negation()?];
        while self.accept("and") {
            self.operators(1)?;
            terms.push(self.negation()?);
        }
        Ok(if terms.len() == 1 { terms.swap_remove(0) } else { Expr::And(terms) })
    }

    fn negation(&mut self) -> Parsed<Expr> {
        if self.accept("not") {
            return Ok(Expr::Not(Box::new(self.nested(Self::negation)?)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed<Expr> {
        let left = self.sum()?;
        if let Token::Sign(sign) = self.peek() {
            let op = match *sign {
                "=" | "==" => BinaryOp::Equal,
                "<>" | "!=" => BinaryOp::NotEqual,
                "<" => BinaryOp::Less,
                "<=" => BinaryOp::LessEqual,
                ">" => BinaryOp::Greater,
                ">=" => BinaryOp::GreaterEqual,
                _ => return Ok(left),
            };
            self.next();
            return Ok(Expr::Binary { op, left: Box::new(left), right: Box::new(self.sum()?) });
        }
        let expr = Box::new(left);
        if self.accept("is") {
            let negated = self.accept("not");
            self.expect("null")?;
            return Ok(Expr::IsNull { expr, negated });
        }
        if self.accept("contains") {
            return Ok(Expr::Contains { expr, key: self.text_literal()? });
        }
        let negated = self.is("not") && ["between", "in", "like"].iter().any(|word| self.is_ahead(1, word));
        if negated {
            self.next();
        }
        if self.accept("between") {
            let low = Box::new(self.sum()?);
            self.expect("and")?;
            return Ok(Expr::Between { expr, low, high: Box::new(self.sum()?), negated });
        }
        if self.accept("in") {
            self.expect_sign("(")?;
            let list = self.list(Self::expr)?;
            self.expect_sign(")")?;
            return Ok(Expr::In { expr, list, negated });
        }
        if self.accept("like") {
            return Ok(Expr::Like { expr, pattern: Box::new(self.sum()?), negated });
        }
        for (word, negated) in [("match", false), ("nmatch", true)] {
            if self.accept(word) {
                return Ok(Expr::Match { expr, pattern: Box::new(self.sum()?), negated });
            }
        }
        Ok(*expr)
    }

    fn chain(&mut self, ops: &[(&str, BinaryOp)], operand: fn(&mut Self) -> Parsed<Expr>) -> Parsed<Expr> {
        let mut left = operand(self)?;
        while let Some((_, op)) = ops.iter().find(|(sign, _)| self.is_sign(sign)) {
            self.operators(CHAINED_WEIGHT)?;
            self.next();
            left = Expr::Binary { op: *op, left: Box::new(left), right: Box::new(operand(self)?) };
        }
        Ok(left)
    }

    pub(super) fn sum(&mut self) -> Parsed<Expr> {
        const OPS: [(&str, BinaryOp); 4] =
            [("+", BinaryOp::Add), ("-", BinaryOp::Subtract), ("&", BinaryOp::BitAnd), ("|", BinaryOp::BitOr)];
        self.chain(&OPS, Self::product)
    }

    fn product(&mut self) -> Parsed<Expr> {
        const OPS: [(&str, BinaryOp); 3] =
            [("*", BinaryOp::Multiply), ("/", BinaryOp::Divide), ("%", BinaryOp::Modulo)];
        self.chain(&OPS, Self::signed)
    }

    fn signed(&mut self) -> Parsed<Expr> {
        if self.accept_sign("+") {
            return self.nested(Self::signed);
        }
        if self.accept_sign("-") {
            return Ok(match self.nested(Self::signed)? {
                Expr::Number(digits) if !digits.starts_with('-') => Expr::Number(format!("-{digits}")),
                other => Expr::Negative(Box::new(other)),
            });
        }
        let mut expr = self.primary()?;
        while self.accept_sign("->") {
            self.operators(CHAINED_WEIGHT)?;
            expr = Expr::Member { expr: Box::new(expr), key: self.text_literal()? };
        }
        Ok(expr)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        match self.peek().clone() {
            Token::Number(digits) => {
                self.next();
                Ok(Expr::Number(digits))
            }
            Token::Text(text) => {
                self.next();
                Ok(Expr::Text(text))
            }
            Token::Duration(duration) => {
                self.next();
                Ok(Expr::Duration(duration))
            }
            Token::Sign("(") => {
                self.next();
                let inner = self.expr()?;
                self.expect_sign(")")?;
                Ok(inner)
            }
            Token::Sign("*") => {
                self.next();
                Ok(Expr::Star { table: None })
            }
            Token::Quoted(name) => {
                self.next();
                self.column(name)
            }
            Token::Word(word) => self.word(word),
            _ => Err(self.unexpected()),
        }
    }

    fn word(&mut self, word: String) -> Parsed<Expr> {
        match word.as_str() {
            "null" => {
                self.next();
                return Ok(Expr::Null);
            }
            "true" | "false" => {
                self.next();
                return Ok(Expr::Bool(word == "true"));
            }
            "case" => return self.case(),
            "timestamp" if matches!(self.peek_at(1), Token::Text(_)) => {
                self.next();
                return Ok(Expr::Text(self.text_literal()?));
            }
            _ => {}
        }
        if self.is_sign_ahead(1, "(") && !matches!(word.as_str(), "and" | "or" | "not" | "in") {
            return self.call(word);
        }
        if RESERVED.contains(&word.as_str()) {
            return Err(self.unexpected());
        }
        self.next();
        match word.as_str() {
            "now" | "today" if !self.is_sign(".") => Ok(Expr::Call { name: word, args: Vec::new() }),
            _ => self.column(word),
        }
    }

    /// `name`, `table.name` or `table.*`; the first name is read.
    fn column(&mut self, first: String) -> Parsed<Expr> {
        if !self.accept_sign(".") {
            return Ok(Expr::Column { table: None, name: first });
        }
        if self.accept_sign("*") {
            return Ok(Expr::Star { table: Some(first) });
        }
        let second = self.name()?;
        if self.accept_sign(".") {
            // `database.table.column`: a table is known by its own name.
            if self.accept_sign("*") {
                return Ok(Expr::Star { table: Some(second) });
            }
            return Ok(Expr::Column { table: Some(second), name: self.name()? });
        }
        Ok(Expr::Column { table: Some(first), name: second })
    }

    fn case(&mut self) -> Parsed<Expr> {
        self.expect("case")?;
        let operand = if self.is("when") { None } else { Some(Box::new(self.expr()?)) };
        let mut branches = Vec::new();
        while self.accept("when") {
            self.operators(1)?;
            let when = self.expr()?;
            self.expect("then")?;
            branches.push((when, self.expr()?));
        }
        if branches.is_empty() {
            return Err(self.unexpected());
        }
        let otherwise = if self.accept("else") { Some(Box::new(self.expr()?)) } else { None };
        self.expect("end")?;
        Ok(Expr::Case { operand, branches, otherwise })
    }

    fn call(&mut self, name: String) -> Parsed<Expr> {
        self.next();
        self.expect_sign("(")?;
        if name == "cast" {
            let expr = Box::new(self.expr()?);
            self.expect("as")?;
            let to = self.type_name(true)?;
            self.expect_sign(")")?;
            return Ok(Expr::Cast { expr, to });
        }
        if self.accept_sign(")") {
            return Ok(Expr::Call { name, args: Vec::new() });
        }
        let mut args = Vec::new();
        if name == "trim" {
            args = self.trim_arguments()?;
        } else {
            args.push(self.argument(&name)?);
            if name == "position" && self.accept("in") {
                args.push(self.expr()?);
            }
            if matches!(name.as_str(), "substr" | "substring") && self.accept("from") {
                args.push(self.expr()?);
                if self.accept("for") {
                    args.push(self.expr()?);
                }
            }
            while self.accept_sign(",") {
                self.operators(1)?;
                args.push(self.argument(&name)?);
            }
        }
        self.expect_sign(")")?;
        Ok(Expr::Call { name, args })
    }

    /// The needle of POSITION must not take the word IN for itself.
    fn argument(&mut self, function: &str) -> Parsed<Expr> {
        if function == "position" {
            return self.nested(Self::sum);
        }
        self.expr()
    }

    /// `[LEADING | TRAILING | BOTH] [text] FROM text`, or one text: as `(side, text, what)`, `(text)`.
    fn trim_arguments(&mut self) -> Parsed<Vec<Expr>> {
        let side = ["leading", "trailing", "both"].into_iter().find(|side| self.accept(side));
        if side.is_some() && self.accept("from") {
            return Ok(vec![self.expr()?, Expr::Text(side.unwrap_or("both").to_string()), Expr::Text(" ".to_string())]);
        }
        let first = self.expr()?;
        if self.accept("from") {
            return Ok(vec![self.expr()?, Expr::Text(side.unwrap_or("both").to_string()), first]);
        }
        Ok(vec![first])
    }

    /// A type's name. In a CAST texts may be without a length.
    pub(super) fn type_name(&mut self, in_cast: bool) -> Parsed<DeclaredType> {
        const CAST_LENGTH: u32 = 4096;
        let Token::Word(word) = self.peek().clone() else { return Err(self.unexpected()) };
        self.next();
        let kind = match word.as_str() {
            "bool" | "boolean" => DeclaredType::Bool,
            "tinyint" => self.signedness(DeclaredType::TinyInt, DeclaredType::UTinyInt),
            "smallint" => self.signedness(DeclaredType::SmallInt, DeclaredType::USmallInt),
            "int" | "integer" => self.signedness(DeclaredType::Int, DeclaredType::UInt),
            "bigint" => self.signedness(DeclaredType::BigInt, DeclaredType::UBigInt),
            "float" => DeclaredType::Float,
            "double" => DeclaredType::Double,
            "timestamp" => DeclaredType::Timestamp,
            "json" => DeclaredType::Json,
            "binary" | "varchar" => DeclaredType::Varchar(self.length(in_cast, CAST_LENGTH)?),
            "nchar" => DeclaredType::NChar(self.length(in_cast, CAST_LENGTH)?),
            "varbinary" => DeclaredType::Varbinary(self.length(in_cast, CAST_LENGTH)?),
            "geometry" => DeclaredType::Geometry(self.length(in_cast, CAST_LENGTH)?),
            "decimal" | "numeric" => self.decimal()?,
            _ => {
                self.at -= 1;
                return Err(self.unexpected());
            }
        };
        Ok(kind)
    }

    fn signedness(&mut self, signed: DeclaredType, unsigned: DeclaredType) -> DeclaredType {
        if self.accept("unsigned") { unsigned } else { signed }
    }

    fn length(&mut self, optional: bool, default: u32) -> Parsed<u32> {
        const LENGTH_MAX: u64 = 65_517;
        if optional && !self.is_sign("(") {
            return Ok(default);
        }
        self.expect_sign("(")?;
        let length = self.integer()?;
        self.expect_sign(")")?;
        match u32::try_from(length) {
            Ok(length) if (1..=LENGTH_MAX).contains(&u64::from(length)) => Ok(length),
            _ => Err(TdError::ValueType(length.to_string())),
        }
    }

    fn decimal(&mut self) -> Parsed<DeclaredType> {
        let (mut precision, mut scale) = (10, 0);
        if self.accept_sign("(") {
            precision = self.integer()?;
            if self.accept_sign(",") {
                scale = self.integer()?;
            }
            self.expect_sign(")")?;
        }
        if !(1..=38).contains(&precision) || scale > precision {
            return Err(TdError::ValueType(format!("decimal({precision},{scale})")));
        }
        Ok(DeclaredType::Decimal { precision: precision as u8, scale: scale as u8 })
    }
}
