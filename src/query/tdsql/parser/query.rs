//! SELECT and what it is made of.

use crate::query::tdsql::ast::{
    Expr, Fill, FillMode, Join, JoinKind, Limit, OrderItem, Query, QueryBody, Range, Select, SelectItem, Source, Window,
};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::lexer::Token;
use crate::query::tdsql::time::Duration;

use super::expr::RESERVED;
use super::{Parsed, Parser, SOURCE_WEIGHT};

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Parsed<Query> {
        self.nested(|parser| {
            let mut body = parser.query_part()?;
            while parser.accept("union") {
                parser.operators(SOURCE_WEIGHT)?;
                let all = parser.accept("all");
                if !all {
                    parser.accept("distinct");
                }
                let right = Box::new(parser.query_part()?);
                body = QueryBody::Union { left: Box::new(body), right, all };
            }
            let mut order = Vec::new();
            if parser.accept("order") {
                parser.expect("by")?;
                order = parser.list(Self::order_item)?;
            }
            let series_limit = parser.limit("slimit", "soffset")?;
            let limit = parser.limit("limit", "offset")?;
            let series_limit = match series_limit {
                None => parser.limit("slimit", "soffset")?,
                given => given,
            };
            Ok(Query { body, order, series_limit, limit })
        })
    }

    /// A select, perhaps between brackets.
    fn query_part(&mut self) -> Parsed<QueryBody> {
        if self.accept_sign("(") {
            let inner = self.query()?;
            self.expect_sign(")")?;
            if inner.order.is_empty() && inner.limit.is_none() && inner.series_limit.is_none() {
                return Ok(inner.body);
            }
            let star = Expr::Star { table: None };
            let items = vec![SelectItem { expr: star, alias: None, text: "*".to_string() }];
            let from = Some(Source::Query { query: Box::new(inner), alias: None });
            return Ok(QueryBody::Select(Box::new(Select { items, from, ..empty() })));
        }
        Ok(QueryBody::Select(Box::new(self.select()?)))
    }

    fn select(&mut self) -> Parsed<Select> {
        self.expect("select")?;
        let mut select = empty();
        select.distinct = self.accept("distinct");
        if !select.distinct && self.is("tags") && !self.is_sign_ahead(1, ",") && !self.is_ahead(1, "from") {
            self.next();
            select.tags = true;
        }
        self.accept("all");
        select.items = self.list(Self::select_item)?;
        if !self.accept("from") {
            return Ok(select);
        }
        select.from = Some(self.sources()?);
        if self.accept("where") {
            select.condition = Some(self.expr()?);
        }
        if self.accept("partition") {
            self.expect("by")?;
            select.partition = self.list(Self::select_item)?;
        }
        if self.accept("range") {
            self.expect_sign("(")?;
            let from = self.expr()?;
            let to = if self.accept_sign(",") { Some(self.expr()?) } else { None };
            self.expect_sign(")")?;
            select.range = Some(Range { from, to });
        }
        if self.accept("every") {
            self.expect_sign("(")?;
            select.every = Some(self.duration()?);
            self.expect_sign(")")?;
        }
        select.fill = self.fill()?;
        select.window = self.window()?;
        if select.fill.is_none() {
            select.fill = self.fill()?;
        }
        if self.accept("group") {
            self.expect("by")?;
            select.group = self.list(Self::select_item)?;
            if select.window.is_none() {
                select.window = self.window()?;
            }
        }
        if self.accept("having") {
            select.having = Some(self.expr()?);
        }
        Ok(select)
    }

    fn select_item(&mut self) -> Parsed<SelectItem> {
        let first = self.at;
        let expr = self.expr()?;
        let text = self.text_since(first);
        let alias = if self.accept("as") {
            match self.peek() {
                Token::Text(_) => Some(self.text_literal()?),
                _ => Some(self.name()?),
            }
        } else {
            self.bare_alias()
        };
        Ok(SelectItem { expr, alias, text })
    }

    /// A name that may follow without AS.
    fn bare_alias(&mut self) -> Option<String> {
        let name = match self.peek() {
            Token::Word(word) if !RESERVED.contains(&word.as_str()) => word.clone(),
            Token::Quoted(name) => name.clone(),
            _ => return None,
        };
        self.next();
        Some(name)
    }

    fn sources(&mut self) -> Parsed<Source> {
        let mut left = self.joined()?;
        let mut tables = 1;
        while self.accept_sign(",") {
            tables += 1;
            if tables > 10 {
                return Err(TdError::NotSupported("a join of more than 10 tables".to_string()));
            }
            self.operators(SOURCE_WEIGHT)?;
            let right = self.joined()?;
            left = Source::Join(Box::new(Join { left, right, kind: JoinKind::Cross, on: None }));
        }
        Ok(left)
    }

    fn joined(&mut self) -> Parsed<Source> {
        let mut left = self.source()?;
        let mut tables = 1;
        while let Some(kind) = self.join_kind()? {
            tables += 1;
            if tables > 10 {
                return Err(TdError::NotSupported("a join of more than 10 tables".to_string()));
            }
            self.operators(SOURCE_WEIGHT)?;
            let right = self.source()?;
            let on = if self.accept("on") { Some(self.expr()?) } else { None };
            left = Source::Join(Box::new(Join { left, right, kind, on }));
        }
        Ok(left)
    }

    fn join_kind(&mut self) -> Parsed<Option<JoinKind>> {
        if self.accept("join") {
            return Ok(Some(JoinKind::Inner));
        }
        if self.accept("inner") {
            self.expect("join")?;
            return Ok(Some(JoinKind::Inner));
        }
        let Some(side) = ["left", "right", "full"].into_iter().find(|side| self.is(side)) else { return Ok(None) };
        self.next();
        let kind = if self.accept("semi") {
            if side == "left" { JoinKind::LeftSemi } else { JoinKind::RightSemi }
        } else if self.accept("anti") {
            if side == "left" { JoinKind::LeftAnti } else { JoinKind::RightAnti }
        } else if self.accept("asof") {
            if side == "left" { JoinKind::LeftAsof } else { JoinKind::RightAsof }
        } else {
            self.accept("outer");
            match side {
                "left" => JoinKind::Left,
                "right" => JoinKind::Right,
                _ => JoinKind::Full,
            }
        };
        self.expect("join")?;
        Ok(Some(kind))
    }

    fn source(&mut self) -> Parsed<Source> {
        if self.is_sign("(") {
            self.next();
            if !self.is("select") && !self.is_sign("(") {
                let inner = self.nested(Self::sources)?;
                self.expect_sign(")")?;
                return Ok(inner);
            }
            let query = Box::new(self.query()?);
            self.expect_sign(")")?;
            return Ok(Source::Query { query, alias: self.alias()? });
        }
        if let Token::Word(word) = self.peek()
            && RESERVED.contains(&word.as_str())
        {
            return Err(self.unexpected());
        }
        let name = self.table_name()?;
        Ok(Source::Table { name, alias: self.alias()? })
    }

    fn alias(&mut self) -> Parsed<Option<String>> {
        if self.accept("as") { self.name().map(Some) } else { Ok(self.bare_alias()) }
    }

    fn window(&mut self) -> Parsed<Option<Window>> {
        let Token::Word(word) = self.peek().clone() else { return Ok(None) };
        let window = match word.as_str() {
            "interval" => {
                self.next();
                self.expect_sign("(")?;
                let every = self.duration()?;
                let (mut offset, mut auto) = (None, false);
                if self.accept_sign(",") {
                    auto = self.accept("auto");
                    offset = if auto { None } else { Some(self.duration()?) };
                }
                self.expect_sign(")")?;
                let mut sliding = None;
                if self.accept("sliding") {
                    self.expect_sign("(")?;
                    sliding = Some(self.duration()?);
                    self.expect_sign(")")?;
                }
                Window::Interval { every, offset, auto, sliding }
            }
            "session" => {
                self.next();
                self.expect_sign("(")?;
                let column = self.expr()?;
                self.expect_sign(",")?;
                let gap = self.duration()?;
                self.expect_sign(")")?;
                Window::Session { column, gap }
            }
            "state_window" => {
                self.next();
                self.expect_sign("(")?;
                let expr = self.expr()?;
                self.expect_sign(")")?;
                Window::State { expr, at_least: self.true_for()? }
            }
            "event_window" => {
                self.next();
                self.expect("start")?;
                self.expect("with")?;
                let start = self.expr()?;
                self.expect("end")?;
                self.expect("with")?;
                let end = self.expr()?;
                Window::Event { start, end, at_least: self.true_for()? }
            }
            "count_window" => {
                self.next();
                self.expect_sign("(")?;
                let rows = self.integer()?;
                let sliding = if self.accept_sign(",") { Some(self.integer()?) } else { None };
                self.expect_sign(")")?;
                Window::Count { rows, sliding }
            }
            _ => return Ok(None),
        };
        Ok(Some(window))
    }

    fn true_for(&mut self) -> Parsed<Option<Duration>> {
        if !self.accept("true_for") {
            return Ok(None);
        }
        self.expect_sign("(")?;
        let least = self.duration()?;
        self.expect_sign(")")?;
        Ok(Some(least))
    }

    /// `10s`, also between quotes.
    fn duration(&mut self) -> Parsed<Duration> {
        let found = match self.peek() {
            Token::Duration(duration) => Some(*duration),
            Token::Text(text) => Duration::parse_text(text),
            _ => None,
        };
        match found {
            Some(duration) => {
                self.next();
                Ok(duration)
            }
            None => Err(self.unexpected()),
        }
    }

    fn fill(&mut self) -> Parsed<Option<Fill>> {
        if !self.accept("fill") {
            return Ok(None);
        }
        self.expect_sign("(")?;
        let mode = match self.peek() {
            Token::Word(word) => match word.as_str() {
                "none" => FillMode::None,
                "null" => FillMode::Null,
                "null_f" => FillMode::NullForced,
                "value" => FillMode::Value,
                "value_f" => FillMode::ValueForced,
                "prev" => FillMode::Previous,
                "next" => FillMode::Next,
                "linear" => FillMode::Linear,
                "near" => FillMode::Near,
                _ => return Err(self.unexpected()),
            },
            _ => return Err(self.unexpected()),
        };
        self.next();
        let mut values = Vec::new();
        while self.accept_sign(",") {
            values.push(self.expr()?);
        }
        self.expect_sign(")")?;
        Ok(Some(Fill { mode, values }))
    }

    fn order_item(&mut self) -> Parsed<OrderItem> {
        let expr = self.expr()?;
        let descending = self.accept("desc");
        if !descending {
            self.accept("asc");
        }
        let mut nulls_first = None;
        if self.accept("nulls") {
            let first = self.accept("first");
            if !first {
                self.expect("last")?;
            }
            nulls_first = Some(first);
        }
        Ok(OrderItem { expr, descending, nulls_first })
    }

    /// `LIMIT n [OFFSET m]` or `LIMIT m, n`.
    fn limit(&mut self, limit: &str, offset: &str) -> Parsed<Option<Limit>> {
        if !self.accept(limit) {
            return Ok(None);
        }
        let first = self.integer()?;
        if self.accept_sign(",") {
            return Ok(Some(Limit { count: self.integer()?, offset: first }));
        }
        let offset = if self.accept(offset) { self.integer()? } else { 0 };
        Ok(Some(Limit { count: first, offset }))
    }
}

fn empty() -> Select {
    Select {
        distinct: false,
        tags: false,
        items: Vec::new(),
        from: None,
        condition: None,
        partition: Vec::new(),
        range: None,
        every: None,
        window: None,
        fill: None,
        group: Vec::new(),
        having: None,
    }
}
